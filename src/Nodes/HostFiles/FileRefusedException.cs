namespace FtAkka.Nodes.HostFiles;

/// <summary>What lies under a path is not read: a FIFO, a device, a folder, a link, or more than is taken. The message names it. No storage has failed.</summary>
public sealed class FileRefusedException : IOException
{
    /// <summary>A refusal with its reason.</summary>
    public FileRefusedException(string message)
        : base(message)
    {
    }

    /// <summary>A refusal with its reason and what caused it.</summary>
    public FileRefusedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>A refusal without a reason; exists because exceptions are expected to have it.</summary>
    public FileRefusedException()
        : base("The file is not read.")
    {
    }
}
