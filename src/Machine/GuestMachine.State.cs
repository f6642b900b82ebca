using FtAkka.Cpu.Memory;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine;

/// <summary>Snapshot, restore and digest.</summary>
public sealed partial class GuestMachine : ISnapshotable
{
    private readonly StateWriter digestWriter = new();
    private readonly List<int> digestPages = [];
    private DirtyPages? digestLog;

    /// <summary>Writes everything but RAM, which is moved page by page.</summary>
    public void Snapshot(StateWriter writer)
    {
        // Without the files that it starts from, as one that an older snapshot was restored to, a machine writes what that snapshot had.
        var section = writer.BeginSection("MACH", bootHash == 0 ? (ushort)1 : (ushort)2);
        writer.WriteUInt64(config.MemoryBytes);
        writer.WriteUInt64(config.TscHz);
        writer.WriteUInt32(config.TscTicksPerTimerTick);
        writer.WriteByte((byte)plugged.Count);
        if (bootHash != 0)
            writer.WriteUInt64(bootHash);
        writer.EndSection(section);
        SnapshotCpu(writer);
        SnapshotPlatform(writer);
    }

    /// <inheritdoc/>
    public SnapshotError Restore(StateReader reader)
    {
        var version = reader.BeginSection("MACH", 2);
        var same = reader.ReadUInt64() == config.MemoryBytes & reader.ReadUInt64() == config.TscHz
            & reader.ReadUInt32() == config.TscTicksPerTimerTick & reader.ReadByte() == plugged.Count;
        if (reader.Ok && !same)
            return reader.Fail(SnapshotError.OtherMachine);
        bootHash = version > 1 ? reader.ReadUInt64() : 0;
        if (bootFiles?.Hash != bootHash)
            bootFiles = null;
        reader.EndSection();
        cpu.Restore(reader);
        clock.Restore(reader);
        localApic.Restore(reader);
        ioApic.Restore(reader);
        uart.Restore(reader);
        rtc.Restore(reader);
        foreach (var device in plugged)
            device.Restore(reader);
        reader.BeginSection("MEND", 1);
        for (var i = 0; i < consoleOutputBytes.Length; i++)
            consoleOutputBytes[i] = reader.ReadUInt64();
        RefusedInputCount = reader.ReadUInt64();
        var reason = reader.ReadByte();
        reader.Require(reason == byte.MaxValue || Enum.IsDefined((MachineExitReason)reason));
        ended = reason == byte.MaxValue ? null : (MachineExitReason)reason;
        reader.EndSection();
        RestoreRestarts(reader);
        return reader.End();
    }

    /// <summary>
    /// Digest of CPU, devices and the pages written since the last call (since the first call: all of RAM). Costs little when
    /// called every few million instructions.
    /// </summary>
    /// <param name="pages">Takes the hash of each page, to find the first that differs.</param>
    public MachineDigest ComputeDigest(List<PageDigest>? pages = null)
    {
        if (digestLog is null)
        {
            digestLog = Memory.CreateDirtyLog();
            digestLog.AddAll();
        }
        digestPages.Clear();
        digestLog.Drain(digestPages);
        return Digest(digestPages, pages);
    }

    /// <summary>
    /// What the next <see cref="ComputeDigest"/> covers starts now: recorder and player, or both sides of a clone, call it at the same icount, for
    /// what each wrote to reach that state differs.
    /// </summary>
    public void StartDigests()
    {
        digestLog ??= Memory.CreateDirtyLog();
        digestPages.Clear();
        digestLog.Drain(digestPages);
    }

    /// <summary>Digest of CPU, devices and all of RAM.</summary>
    public MachineDigest ComputeFullDigest() => Digest(Enumerable.Range(0, Memory.PageCount), null);

    private MachineDigest Digest(IEnumerable<int> pageIndices, List<PageDigest>? pages)
    {
        digestWriter.Clear();
        SnapshotCpu(digestWriter);
        var cpuHash = XxHash64.Hash(digestWriter.Written);
        digestWriter.Clear();
        SnapshotPlatform(digestWriter);
        return new MachineDigest(cpu.Icount, cpuHash, XxHash64.Hash(digestWriter.Written), MemoryHash.Of(Memory, pageIndices, pages));
    }

    private void SnapshotCpu(StateWriter writer) => cpu.Snapshot(writer);

    private void SnapshotPlatform(StateWriter writer)
    {
        clock.Snapshot(writer);
        localApic.Snapshot(writer);
        ioApic.Snapshot(writer);
        uart.Snapshot(writer);
        rtc.Snapshot(writer);
        foreach (var device in plugged)
            device.Snapshot(writer);
        var section = writer.BeginSection("MEND", 1);
        foreach (var count in consoleOutputBytes)
            writer.WriteUInt64(count);
        writer.WriteUInt64(RefusedInputCount);
        writer.WriteByte(ended is { } reason ? (byte)reason : byte.MaxValue);
        writer.EndSection(section);
        SnapshotRestarts(writer);
    }
}
