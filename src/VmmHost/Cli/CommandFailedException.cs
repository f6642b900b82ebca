namespace FtAkka.VmmHost.Cli;

/// <summary>A verb failed for a reason that its message tells in full: what happened, on what, and what to do.</summary>
public sealed class CommandFailedException : Exception
{
    /// <summary>A failure with its reason.</summary>
    public CommandFailedException(string message)
        : base(message)
    {
    }

    /// <summary>A failure with its reason and what caused it.</summary>
    public CommandFailedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>A failure without a reason; exists because exceptions are expected to have it.</summary>
    public CommandFailedException()
        : base("The command failed.")
    {
    }
}
