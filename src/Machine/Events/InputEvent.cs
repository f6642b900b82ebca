using System.Collections.Immutable;
using FtAkka.Machine.Virtio.Block;

namespace FtAkka.Machine.Events;

/// <summary>Something non-deterministic that enters the machine. The log carries it with the icount at which it was delivered.</summary>
public abstract record InputEvent;

/// <summary>Bytes for a console. What its queue has no room for is dropped; see <see cref="GuestMachine.ConsoleInputRoomBytes"/>.</summary>
/// <param name="Console">Which console.</param>
/// <param name="Bytes">As typed.</param>
public sealed record ConsoleInput(ConsoleKind Console, ImmutableArray<byte> Bytes) : InputEvent;

/// <summary>A frame from the network.</summary>
/// <param name="Nic">Index in <see cref="MachineConfig.Nics"/>.</param>
/// <param name="Frame">Ethernet frame without frame check sequence.</param>
public sealed record NetReceive(int Nic, ImmutableArray<byte> Frame) : InputEvent;

/// <summary>The cable of a NIC was plugged in or out.</summary>
/// <param name="Nic">Index in <see cref="MachineConfig.Nics"/>.</param>
/// <param name="Up">Whether there is a link now.</param>
public sealed record NetLinkChange(int Nic, bool Up) : InputEvent;

/// <summary>A disk request has ended.</summary>
/// <param name="Disk">Index in <see cref="MachineConfig.Disks"/>.</param>
/// <param name="Completion">Which request, how it ended, and read data.</param>
public sealed record DiskCompleted(int Disk, DiskCompletion Completion) : InputEvent;

/// <summary>The medium of a disk has another size now.</summary>
/// <param name="Disk">Index in <see cref="MachineConfig.Disks"/>.</param>
/// <param name="CapacitySectors">New size in 512-byte sectors.</param>
public sealed record DiskCapacityChange(int Disk, ulong CapacitySectors) : InputEvent;

/// <summary>Real time has passed: the guest's TSC moves forward to <paramref name="Tsc"/>, never back.</summary>
/// <param name="Tsc">TSC value, without IA32_TSC_ADJUST.</param>
public sealed record ClockAdvance(ulong Tsc) : InputEvent;

/// <summary>An operator's action.</summary>
/// <param name="Operation">What to do.</param>
public sealed record Control(ControlOperation Operation) : InputEvent;

/// <summary>Operations of <see cref="Control"/>.</summary>
public enum ControlOperation
{
    /// <summary>Cut the power: the machine ends, whatever <see cref="MachineConfig.OnPowerOff"/> says.</summary>
    PowerOff,
    /// <summary>Press the reset button: what follows is what follows a reboot of the guest itself.</summary>
    Reset,
    /// <summary>Raise a non-maskable interrupt.</summary>
    Nmi,
}

/// <summary>The consoles a machine can have.</summary>
public enum ConsoleKind
{
    /// <summary>The serial console, ttyS0.</summary>
    Serial = 0,
    /// <summary>The virtio console, hvc0.</summary>
    Virtio = 1,
}
