namespace FtAkka.Recordings;

/// <summary>A recording cannot be written or read. The message says which file, what is wrong, and what that means.</summary>
public sealed class RecordingException : Exception
{
    /// <summary>An error.</summary>
    public RecordingException(string message)
        : base(message)
    {
    }

    /// <summary>An error with its cause.</summary>
    public RecordingException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>An unexplained error; exists because exceptions are expected to have it.</summary>
    public RecordingException()
        : base("The recording cannot be used.")
    {
    }
}
