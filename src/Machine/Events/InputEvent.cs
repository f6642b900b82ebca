using System.Collections.Immutable;

namespace FtAkka.Machine.Events;

/// <summary>Something non-deterministic that enters the machine. The log carries it with the icount at which it was delivered.</summary>
public abstract record InputEvent;

/// <summary>Bytes for the serial console. What its queue has no room for is dropped; see <see cref="GuestMachine.ConsoleInputRoomBytes"/>.</summary>
/// <param name="Bytes">As typed.</param>
public sealed record ConsoleInput(ImmutableArray<byte> Bytes) : InputEvent;

/// <summary>Real time has passed: the guest's TSC moves forward to <paramref name="Tsc"/>, never back.</summary>
/// <param name="Tsc">TSC value, without IA32_TSC_ADJUST.</param>
public sealed record ClockAdvance(ulong Tsc) : InputEvent;

/// <summary>An operator's action.</summary>
/// <param name="Operation">What to do.</param>
public sealed record Control(ControlOperation Operation) : InputEvent;

/// <summary>Operations of <see cref="Control"/>.</summary>
public enum ControlOperation
{
    /// <summary>Cut the power.</summary>
    PowerOff,
    /// <summary>Press the reset button: the run ends as by a reset of the guest itself.</summary>
    Reset,
    /// <summary>Raise a non-maskable interrupt.</summary>
    Nmi,
}
