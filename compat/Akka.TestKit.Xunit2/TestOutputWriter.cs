using Akka.Actor;
using Akka.Event;
using Xunit.Abstractions;

namespace Akka.TestKit.Xunit2;

/// <summary>Writes the system's log events to the output of the running test.</summary>
internal sealed class TestOutputWriter : ReceiveActor
{
    private readonly ITestOutputHelper output;

    public TestOutputWriter(ITestOutputHelper output)
    {
        this.output = output;
        Receive<LogEvent>(Write);
    }

    protected override void PreStart() => Context.System.EventStream.Subscribe(Self, typeof(LogEvent));

    private void Write(LogEvent entry)
    {
        try
        {
            output.WriteLine(entry.ToString());
        }
        catch (InvalidOperationException)
        {
            // The test has ended and xunit no longer takes its output; what a stopping system still logs has no reader.
            Context.System.EventStream.Unsubscribe(Self);
        }
    }
}
