namespace FtAkka.DeterministicSim.Scenarios;

/// <summary>A scenario cannot be read or run. The message says where, what was found and what is allowed.</summary>
public sealed class ScenarioException : Exception
{
    /// <summary>A scenario that is wrong for a reason.</summary>
    public ScenarioException(string message)
        : base(message)
    {
    }

    /// <summary>A scenario that is wrong for a reason, and what caused it.</summary>
    public ScenarioException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>A scenario that is wrong; exists because exceptions are expected to have it.</summary>
    public ScenarioException()
        : base("The scenario is not a valid one.")
    {
    }
}
