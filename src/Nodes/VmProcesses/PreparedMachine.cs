using FtAkka.Actors.Machines;
using FtAkka.Machine;

namespace FtAkka.Nodes;

/// <summary>
/// A machine that is made before its VM is promised, since a host may not have what it needs. Whoever runs or copies it takes it and frees it; what nobody
/// has taken is freed here. The two may come from different threads.
/// </summary>
internal sealed class PreparedMachine
{
    private GuestMachine? machine;

    /// <summary>Makes the machine. Whatever the host refuses is an exception.</summary>
    public void Make(MachineOptions options) => Interlocked.Exchange(ref machine, options.CreateMachine(options));

    /// <summary>The machine, once.</summary>
    /// <exception cref="InvalidOperationException">It was taken, or freed.</exception>
    public GuestMachine Take() => Interlocked.Exchange(ref machine, null) ?? throw new InvalidOperationException("The machine has been taken already.");

    /// <summary>Frees the machine if nobody has taken it.</summary>
    public void Release() => Interlocked.Exchange(ref machine, null)?.Dispose();
}
