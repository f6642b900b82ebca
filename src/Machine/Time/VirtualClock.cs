using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Time;

/// <summary>
/// The guest's time stamp counter as a function of the instruction count and of logged clock advances only:
/// <c>tsc = base + (icount - icountAtBase) * numerator / denominator</c>, rounded down.
/// </summary>
/// <remarks>
/// The rate is chosen so low that instructions alone never outrun real time (1/32 tick of 1 ns per instruction stands for 32 G
/// instructions or REP iterations per second, more than any host executes); real time enters through
/// <see cref="AdvanceTo"/>. Whoever drives a live machine injects an advance to the host's elapsed time about once per millisecond
/// while the guest is busy and once at each wake-up from HLT; a replica that replays injects the logged ones at the logged icounts.
/// The clock never goes back: an advance to a moment already passed changes nothing.
/// </remarks>
public sealed class VirtualClock : ISnapshotable
{
    private const string Tag = "VCLK";

    private readonly uint numerator;
    private readonly uint denominator;
    private ulong baseTsc;
    private ulong baseIcount;

    /// <param name="numerator">Ticks per <paramref name="denominator"/> instructions; at least 1.</param>
    /// <param name="denominator">Instructions per <paramref name="numerator"/> ticks; at least 1.</param>
    /// <param name="initialTsc">TSC at icount 0.</param>
    public VirtualClock(uint numerator, uint denominator, ulong initialTsc = 0)
    {
        ArgumentOutOfRangeException.ThrowIfZero(numerator);
        ArgumentOutOfRangeException.ThrowIfZero(denominator);
        this.numerator = numerator;
        this.denominator = denominator;
        baseTsc = initialTsc;
    }

    /// <summary>TSC at <paramref name="icount"/>, which is not before the last advance.</summary>
    public ulong TscAt(ulong icount) => unchecked(baseTsc + Scale(icount - baseIcount));

    /// <summary>Moves the clock at <paramref name="icount"/> forward to <paramref name="tsc"/>; without effect if it is already there or beyond.</summary>
    /// <returns>Whether the clock moved.</returns>
    public bool AdvanceTo(ulong icount, ulong tsc)
    {
        if (tsc <= TscAt(icount))
            return false;
        (baseTsc, baseIcount) = (tsc, icount);
        return true;
    }

    /// <summary>
    /// The first icount at which the clock, without further advances, shows <paramref name="tsc"/> or more;
    /// <see cref="ulong.MaxValue"/> if that lies beyond what an icount can express.
    /// </summary>
    public ulong IcountAt(ulong tsc)
    {
        if (tsc <= baseTsc)
            return baseIcount;
        var instructions = ((UInt128)(tsc - baseTsc) * denominator + (numerator - 1)) / numerator;
        var icount = instructions + baseIcount;
        return icount > ulong.MaxValue ? ulong.MaxValue : (ulong)icount;
    }

    /// <inheritdoc/>
    public void Snapshot(StateWriter writer)
    {
        var section = writer.BeginSection(Tag, 1);
        writer.WriteUInt32(numerator);
        writer.WriteUInt32(denominator);
        writer.WriteUInt64(baseTsc);
        writer.WriteUInt64(baseIcount);
        writer.EndSection(section);
    }

    /// <inheritdoc/>
    public SnapshotError Restore(StateReader reader)
    {
        reader.BeginSection(Tag, 1);
        var sameRate = reader.ReadUInt32() == numerator & reader.ReadUInt32() == denominator;
        baseTsc = reader.ReadUInt64();
        baseIcount = reader.ReadUInt64();
        if (reader.Ok && !sameRate)
            return reader.Fail(SnapshotError.OtherMachine);
        return reader.EndSection();
    }

    private ulong Scale(ulong instructions) => (ulong)((UInt128)instructions * numerator / denominator);
}
