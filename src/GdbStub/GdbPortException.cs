namespace FtAkka.GdbStub;

/// <summary>There can be no debugger, because its port cannot be had. The message says which port, and why.</summary>
public sealed class GdbPortException : Exception
{
    /// <summary>An error.</summary>
    public GdbPortException(string message)
        : base(message)
    {
    }

    /// <summary>An error with its cause.</summary>
    public GdbPortException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>An unexplained error; exists because exceptions are expected to have it.</summary>
    public GdbPortException()
        : base("Cannot listen for gdb.")
    {
    }
}
