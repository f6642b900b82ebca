using FtAkka.Machine.Events;

namespace FtAkka.Actors.Machines;

/// <summary>
/// Stands between the machine and its devices. A protected VM's gate holds every effect until the backup has acknowledged the log up to
/// it (output rule); what leaves, leaves in order.
/// </summary>
public interface IOutputGate
{
    /// <summary>Takes the effects of a run, in order.</summary>
    void Offer(IReadOnlyList<MachineEffect> effects);

    /// <summary>Hands over, in order, the effects that may be performed now; each once.</summary>
    IReadOnlyList<MachineEffect> TakeReleased();
}

/// <summary>The gate of an unprotected VM: everything may leave at once.</summary>
public sealed class OpenOutputGate : IOutputGate
{
    private IReadOnlyList<MachineEffect> released = [];

    /// <inheritdoc/>
    public void Offer(IReadOnlyList<MachineEffect> effects) => released = released.Count == 0 ? effects : [.. released, .. effects];

    /// <inheritdoc/>
    public IReadOnlyList<MachineEffect> TakeReleased()
    {
        IReadOnlyList<MachineEffect> taken = released;
        released = [];
        return taken;
    }
}
