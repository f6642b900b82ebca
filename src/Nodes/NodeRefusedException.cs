namespace FtAkka.Nodes;

/// <summary>A node does not do what an operator asked for; the message says why, and what to do.</summary>
public sealed class NodeRefusedException : Exception
{
    /// <summary>A refusal with its reason.</summary>
    public NodeRefusedException(string message)
        : base(message)
    {
    }

    /// <summary>A refusal with its reason and what caused it.</summary>
    public NodeRefusedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>A refusal without a reason; exists because exceptions are expected to have it.</summary>
    public NodeRefusedException()
        : base("The node refused.")
    {
    }
}
