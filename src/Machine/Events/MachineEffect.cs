namespace FtAkka.Machine.Events;

/// <summary>Something that leaves the machine, to be performed in order by whoever drives it.</summary>
/// <param name="Icount">Instructions retired when it happened; the instruction that caused it is the next.</param>
public abstract record MachineEffect(ulong Icount);

/// <summary>One byte from the serial console.</summary>
/// <param name="Icount">When.</param>
/// <param name="StreamOffset">How many bytes the console sent before, since power-on: a replica that goes live repeats none and skips none.</param>
/// <param name="Value">The byte.</param>
public sealed record ConsoleOutput(ulong Icount, ulong StreamOffset, byte Value) : MachineEffect(Icount);

/// <summary>The machine is off; it does not run on.</summary>
public sealed record PoweredOff(ulong Icount) : MachineEffect(Icount);

/// <summary>The machine wants to be started anew; it does not run on.</summary>
public sealed record ResetRequested(ulong Icount) : MachineEffect(Icount);
