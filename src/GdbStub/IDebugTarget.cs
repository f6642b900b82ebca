using FtAkka.Cpu.Debugging;

namespace FtAkka.GdbStub;

/// <summary>Why a debug target stands still.</summary>
internal enum DebugStopKind
{
    /// <summary>A step was made.</summary>
    Step,
    /// <summary>A breakpoint.</summary>
    Breakpoint,
    /// <summary>A watched access.</summary>
    Watchpoint,
    /// <summary>The debugger asked for it.</summary>
    Interrupt,
    /// <summary>The beginning of what can be gone back to.</summary>
    HistoryStart,
    /// <summary>The end of the recording.</summary>
    HistoryEnd,
    /// <summary>The guest has crashed, and the machine is held.</summary>
    Crash,
    /// <summary>The machine is off.</summary>
    Ended,
}

/// <summary>A stop.</summary>
/// <param name="Kind">Why.</param>
/// <param name="WatchAddress">Linear address that was watched, for a watchpoint.</param>
/// <param name="WatchWrite">It was a write.</param>
internal readonly record struct DebugStop(DebugStopKind Kind, ulong WatchAddress = 0, bool WatchWrite = false);

/// <summary>What is watched, by linear address.</summary>
/// <param name="Address">First byte.</param>
/// <param name="LengthBytes">How many.</param>
/// <param name="OnRead">Reads count.</param>
/// <param name="OnWrite">Writes count.</param>
internal readonly record struct LinearWatchpoint(ulong Address, int LengthBytes, bool OnRead, bool OnWrite);

/// <summary>A machine under a debugger. Addresses are linear, under the CR3 of the moment.</summary>
internal interface IDebugTarget
{
    /// <summary>Registers now.</summary>
    CpuRegisters Registers { get; }

    /// <summary>Instructions retired.</summary>
    ulong Icount { get; }

    /// <summary>Whether it can go back.</summary>
    bool CanReverse { get; }

    /// <summary>Why state cannot be changed, for people; null: it can.</summary>
    string? WhyReadOnly { get; }

    /// <summary>Reads RAM; returns how many bytes from the first on could be read.</summary>
    int ReadMemory(ulong address, Span<byte> destination);

    /// <summary>Writes RAM; false, and nothing written, if not all of it is mapped RAM.</summary>
    bool WriteMemory(ulong address, ReadOnlySpan<byte> source);

    /// <summary>Writes a general register (0 to 15, as encoded) or RIP (16).</summary>
    void WriteRegister(int number, ulong value);

    /// <summary>Sets all stops anew. False, and nothing changed, if something watched is not mapped to RAM.</summary>
    bool SetStops(IReadOnlySet<ulong> breakpoints, IReadOnlyList<LinearWatchpoint> watchpoints);

    /// <summary>Executes one instruction.</summary>
    DebugStop Step();

    /// <summary>Executes to the next stop.</summary>
    DebugStop Continue();

    /// <summary>Goes back one instruction.</summary>
    DebugStop ReverseStep();

    /// <summary>Goes back to the last stop.</summary>
    DebugStop ReverseContinue();

    /// <summary>Goes to an icount; null if the target cannot.</summary>
    DebugStop? Seek(ulong icount);

    /// <summary>The debugger has gone; the machine runs on without it.</summary>
    void Detach();

    /// <summary>The debugger wants the machine to end.</summary>
    void Kill();
}
