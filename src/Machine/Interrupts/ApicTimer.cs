using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Interrupts;

/// <summary>Mode of the local APIC timer: LVT timer bits 18:17 (Intel SDM vol. 3A, figure 11-8).</summary>
public enum ApicTimerMode
{
    OneShot = 0,
    Periodic = 1,
    TscDeadline = 2,
    /// <summary>The reserved encoding: the timer does not run.</summary>
    Reserved = 3,
}

/// <summary>
/// The counter of a local APIC timer (Intel SDM vol. 3A, 11.5.4) as a function of the guest's TSC: nothing ticks; the count and the
/// next expiry are computed from when it was started. The owner stops the CPU at <see cref="NextExpiryTsc"/> and calls <see cref="Expire"/>.
/// </summary>
internal sealed class ApicTimer(uint tscTicksPerTimerTick)
{
    private ApicTimerMode mode;
    private uint divideConfiguration;
    private uint initialCount;
    /// <summary>Count at <see cref="startTsc"/>; 0: the counter does not run.</summary>
    private uint countAtStart;
    private ulong startTsc;
    private ulong deadlineTsc;

    /// <summary>TSC value of the next expiry, or null if the timer is not armed. Saturates at <see cref="ulong.MaxValue"/>.</summary>
    public ulong? NextExpiryTsc => mode == ApicTimerMode.TscDeadline
        ? deadlineTsc == 0 ? null : deadlineTsc
        : countAtStart == 0 ? null : SaturatingAdd(startTsc, countAtStart * TscTicksPerCount);

    /// <summary>The initial-count register; 0 in TSC-deadline mode.</summary>
    public uint InitialCount => mode == ApicTimerMode.TscDeadline ? 0 : initialCount;

    /// <summary>The divide configuration register.</summary>
    public uint DivideConfiguration => divideConfiguration;

    /// <summary>IA32_TSC_DEADLINE: 0 when not armed or in another mode (Intel SDM vol. 3A, 11.5.4.1).</summary>
    public ulong DeadlineTsc => mode == ApicTimerMode.TscDeadline ? deadlineTsc : 0;

    /// <summary>TSC ticks per count: divide value (bits 3, 1, 0; 111b is 1) times the ratio of TSC and timer frequency.</summary>
    private ulong TscTicksPerCount
    {
        get
        {
            var code = (int)((divideConfiguration >> 1 & 4) | (divideConfiguration & 3));
            return (ulong)tscTicksPerTimerTick << ((code + 1) & 7);
        }
    }

    /// <summary>The current-count register at <paramref name="tsc"/>; due expiries have been taken by <see cref="Expire"/>.</summary>
    public uint CurrentCount(ulong tsc)
    {
        if (mode == ApicTimerMode.TscDeadline || countAtStart == 0)
            return 0;
        var elapsed = (tsc - startTsc) / TscTicksPerCount;
        return elapsed >= countAtStart ? 0 : countAtStart - (uint)elapsed;
    }

    /// <summary>Changes the mode; a change to or from TSC-deadline disarms (Intel SDM vol. 3A, 11.5.4.1).</summary>
    public void SetMode(ApicTimerMode newMode)
    {
        if (newMode == mode)
            return;
        var survives = mode is ApicTimerMode.OneShot or ApicTimerMode.Periodic
            && newMode is ApicTimerMode.OneShot or ApicTimerMode.Periodic;
        mode = newMode;
        if (!survives)
            (initialCount, countAtStart, deadlineTsc) = (0, 0, 0);
    }

    /// <summary>Writes the initial count: starts the counter, or stops it with 0. Ignored in TSC-deadline mode.</summary>
    public void Start(uint count, ulong tsc)
    {
        if (mode is not (ApicTimerMode.OneShot or ApicTimerMode.Periodic))
            return;
        (initialCount, countAtStart, startTsc) = (count, count, tsc);
    }

    /// <summary>Writes the divide configuration; a running counter goes on from its present count at the new pace.</summary>
    public void SetDivideConfiguration(uint value, ulong tsc)
    {
        countAtStart = CurrentCount(tsc);
        startTsc = tsc;
        divideConfiguration = value & 0xB;
    }

    /// <summary>Writes IA32_TSC_DEADLINE: arms, or disarms with 0. Ignored in the other modes.</summary>
    public void SetDeadline(ulong tsc)
    {
        if (mode == ApicTimerMode.TscDeadline)
            deadlineTsc = tsc;
    }

    /// <summary>
    /// Takes an expiry that is due at <paramref name="tsc"/>. Periods that passed unseen in one clock advance count as one expiry,
    /// as the interrupt request register could hold no more of them.
    /// </summary>
    /// <returns>Whether the timer expired.</returns>
    public bool Expire(ulong tsc)
    {
        if (NextExpiryTsc is not { } expiry || tsc < expiry)
            return false;
        switch (mode)
        {
            case ApicTimerMode.TscDeadline:
                deadlineTsc = 0;
                break;
            case ApicTimerMode.Periodic:
                var period = initialCount * TscTicksPerCount;
                startTsc = expiry + (tsc - expiry) / period * period;
                countAtStart = initialCount;
                break;
            default:
                countAtStart = 0;
                break;
        }
        return true;
    }

    /// <summary>State after power-up.</summary>
    public void Reset() =>
        (mode, divideConfiguration, initialCount, countAtStart, startTsc, deadlineTsc) = (ApicTimerMode.OneShot, 0, 0, 0, 0, 0);

    public void Snapshot(StateWriter writer)
    {
        writer.WriteByte((byte)mode);
        writer.WriteUInt32(divideConfiguration);
        writer.WriteUInt32(initialCount);
        writer.WriteUInt32(countAtStart);
        writer.WriteUInt64(startTsc);
        writer.WriteUInt64(deadlineTsc);
    }

    public void Restore(StateReader reader)
    {
        mode = (ApicTimerMode)reader.ReadByte();
        divideConfiguration = reader.ReadUInt32();
        initialCount = reader.ReadUInt32();
        countAtStart = reader.ReadUInt32();
        startTsc = reader.ReadUInt64();
        deadlineTsc = reader.ReadUInt64();
        reader.Require(mode <= ApicTimerMode.Reserved && (divideConfiguration & ~0xBu) == 0);
        // A periodic counter with a running count and a period of zero would divide by zero at its expiry.
        reader.Require(countAtStart <= initialCount);
    }

    private static ulong SaturatingAdd(ulong a, ulong b) => a > ulong.MaxValue - b ? ulong.MaxValue : a + b;
}
