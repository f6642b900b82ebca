namespace FtAkka.DeterministicSim.Testing;

/// <summary>A test on a simulated cluster failed.</summary>
public sealed class SimulatedTestException : Exception
{
    /// <summary>A failure with its reason.</summary>
    public SimulatedTestException(string message)
        : base(message)
    {
    }

    /// <summary>A failure with its reason and what the test threw.</summary>
    public SimulatedTestException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>A failure without a reason; exists because exceptions are expected to have it.</summary>
    public SimulatedTestException()
        : base("The test failed.")
    {
    }
}
