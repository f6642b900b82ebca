namespace FtAkka.Nodes.Arbiters;

/// <summary>A record of the arbiter cannot be used. The message names its file, says what is wrong with it, and what to do. It concerns its own VM only.</summary>
public sealed class ArbiterRecordException : IOException
{
    /// <summary>An error with its reason.</summary>
    public ArbiterRecordException(string message)
        : base(message)
    {
    }

    /// <summary>An error with its reason and what caused it.</summary>
    public ArbiterRecordException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>An unexplained error; exists because exceptions are expected to have it.</summary>
    public ArbiterRecordException()
        : base("A record of the arbiter cannot be used.")
    {
    }
}
