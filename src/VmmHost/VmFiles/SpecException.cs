namespace FtAkka.VmmHost.VmFiles;

/// <summary>A VM's description cannot be understood. The message says where, what is wrong, and what is allowed.</summary>
public sealed class SpecException : Exception
{
    /// <summary>An error in a description.</summary>
    public SpecException(string message)
        : base(message)
    {
    }

    /// <summary>An error in a description, with its cause.</summary>
    public SpecException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>An unexplained error; exists because exceptions are expected to have it.</summary>
    public SpecException()
        : base("The description of the VM cannot be understood.")
    {
    }
}
