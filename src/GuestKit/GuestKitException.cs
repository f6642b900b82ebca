namespace FtAkka.GuestKit;

/// <summary>The guest kit cannot do its work on this host. The message is written for the user and says what to do.</summary>
public sealed class GuestKitException : Exception
{
    /// <summary>Creates the error with the sentence that the user sees.</summary>
    public GuestKitException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the error with the sentence that the user sees and the failure behind it.</summary>
    public GuestKitException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
