namespace Akka.TestKit;

/// <summary>Marks a test class whose messages are sent from nobody rather than from its test actor.</summary>
public interface INoImplicitSender;
