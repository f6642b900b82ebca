using FtAkka.Actors.Machines;

namespace FtAkka.Actors.Vms;

/// <summary>
/// Messages of <see cref="VmActor"/>. It also takes those of <see cref="MachineProtocol"/> that are for a machine, and passes them on.
/// </summary>
public static class VmProtocol
{
    /// <summary>VM to whoever keeps outputs back: the machine has ended. Answered by <see cref="Drain"/> when every output was performed, or never will be.</summary>
    public sealed record AskToDrain;

    /// <summary>Answers <see cref="AskToDrain"/>: nothing more comes for the devices.</summary>
    public sealed record Drain;

    /// <summary>VM to its observers, once: machine and devices are stopped, all output has been performed, images and links are closed.</summary>
    /// <param name="Name">Name of the VM.</param>
    /// <param name="Reason">Why it ended.</param>
    /// <param name="Detail">For people, where there is more to say; otherwise null.</param>
    /// <param name="Report">The machine at its end; null if it could not be built, or was lost.</param>
    public sealed record Ended(string Name, MachineEndReason Reason, string? Detail, MachineReport? Report);
}
