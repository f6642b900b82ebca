using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Log;
using FtAkka.Replication.Protection;

namespace FtAkka.Replication.Tests.Protection;

public sealed class OutputGateTests
{
    private static readonly ProtectionOptions Options = new() { OutputsMax = 4, OutputBytesMax = 1000 };

    [Fact]
    public void Paper_2_2_output_waits_for_the_acknowledgement_of_its_mark()
    {
        var gate = new OutputGate(Options, GateMode.Holding, 0);
        gate.Add(Frame(1, mark: 5));
        gate.Add(Frame(2, mark: 9));

        Assert.Empty(gate.Release(new Lsn(4)));
        Assert.Equal([1ul], Numbers(gate.Release(new Lsn(8))));
        Assert.Equal([2ul], Numbers(gate.Release(new Lsn(9))));
        Assert.Empty(gate.Release(new Lsn(99)));
    }

    [Fact]
    public void Released_is_what_devices_have_done_without_gap()
    {
        var gate = new OutputGate(Options, GateMode.PassThrough, 10);
        gate.Add(Frame(11, 1));
        gate.Add(Frame(12, 1));
        gate.Release(Lsn.None);

        gate.Performed(12);
        Assert.Equal(10ul, gate.LastReleased);
        gate.Performed(11);
        gate.Performed(11);
        Assert.Equal(12ul, gate.LastReleased);
        Assert.Equal(0, gate.Count);
        Assert.Equal(0, gate.Bytes);
    }

    [Fact]
    public void A_device_cannot_have_done_what_it_was_not_given()
    {
        var gate = new OutputGate(Options, GateMode.Holding, 0);
        gate.Add(Frame(1, 5));

        gate.Performed(1);
        gate.Performed(2);

        Assert.Equal(0ul, gate.LastReleased);
        Assert.Equal(1, gate.Held);
    }

    [Fact]
    public void Full_by_count_and_by_bytes_until_outputs_have_left()
    {
        var gate = new OutputGate(Options, GateMode.Holding, 0);
        for (ulong number = 1; number <= 4; number++)
        {
            Assert.False(gate.IsFull);
            gate.Add(Frame(number, 1));
        }
        Assert.True(gate.IsFull);
        gate.Release(new Lsn(1));
        Assert.True(gate.IsFull);
        gate.Performed(1);
        Assert.False(gate.IsFull);

        var heavy = new OutputGate(Options, GateMode.Holding, 0);
        heavy.Add(new GatedOutput(1, new NetTransmit(0, 0, [[.. new byte[1000]]]), new Lsn(1)));
        Assert.True(heavy.IsFull);
    }

    [Fact]
    public void A_read_passes_held_outputs_but_no_held_write_to_its_blocks()
    {
        var gate = new OutputGate(Options, GateMode.Holding, 0);
        Assert.False(gate.Add(Disk(1, DiskRequestKind.Write, sector: 8)));

        Assert.True(gate.Add(Disk(2, DiskRequestKind.Read, sector: 16)));
        Assert.False(gate.Add(Disk(3, DiskRequestKind.Read, sector: 8)));

        Assert.Equal([1ul, 3ul], Numbers(gate.Release(new Lsn(1))));
    }

    private static readonly ProtectionOptions SeparateDisk = Options with { Disks = [new ProtectedDisk(1024, DiskSharing.Separate)] };

    [Fact]
    public void Requests_to_a_separate_disk_do_not_wait()
    {
        Assert.True(new OutputGate(SeparateDisk, GateMode.Holding, 0).Add(Disk(1, DiskRequestKind.Write, 8)));
        Assert.True(new OutputGate(SeparateDisk, GateMode.Holding, 0).Add(Disk(1, DiskRequestKind.Read, 8)));
    }

    [Fact]
    public void Replay_changes_its_own_disk_and_leaves_reads_to_the_log()
    {
        Assert.True(new OutputGate(SeparateDisk, GateMode.Replaying, 0).Add(Disk(1, DiskRequestKind.Write, 8)));
        Assert.True(new OutputGate(SeparateDisk, GateMode.Replaying, 0).Add(Disk(1, DiskRequestKind.Flush, 0)));
        Assert.False(new OutputGate(SeparateDisk, GateMode.Replaying, 0).Add(Disk(1, DiskRequestKind.Read, 8)));
        Assert.False(new OutputGate(Options, GateMode.Replaying, 0).Add(Disk(1, DiskRequestKind.Write, 8)));
    }

    [Fact]
    public void Backup_that_reads_performs_reads_and_owes_none()
    {
        var gate = new OutputGate(Options with { Disks = [new ProtectedDisk(1024, DiskSharing.Separate, BackupReads: true)] }, GateMode.Replaying, 0);
        Assert.True(gate.Add(Disk(1, DiskRequestKind.Read, 8)));
        Assert.Equal((0, 1ul), (gate.OwnPending, gate.LastReleased));
    }

    [Fact]
    public void A_write_to_the_own_disk_is_owed_until_it_is_performed_whatever_the_primary_has_done()
    {
        var gate = new OutputGate(SeparateDisk, GateMode.Replaying, 0);
        gate.Add(Disk(1, DiskRequestKind.Write, 8));
        gate.Add(Frame(2, 0));
        gate.PeerReleased(2);
        Assert.Equal((1, 0ul), (gate.OwnPending, gate.LastReleased));

        gate.Performed(1);
        gate.Performed(1);

        Assert.Equal((0, 2ul), (gate.OwnPending, gate.LastReleased));
        Assert.Empty(gate.GoLive());
    }

    [Fact]
    public void Going_live_sends_what_the_primary_had_not_reported_and_leaves_disks_to_the_machine()
    {
        var gate = new OutputGate(Options, GateMode.Replaying, 0);
        gate.Add(Frame(1, 0));
        gate.Add(Frame(2, 0));
        gate.Add(Disk(3, DiskRequestKind.Write, 8));
        gate.Add(Frame(4, 0));
        Assert.Empty(gate.Release(new Lsn(100)));
        gate.PeerReleased(1);

        Assert.Equal([2ul, 4ul], Numbers(gate.GoLive()));
        gate.Performed(2);
        gate.Performed(4);
        Assert.Equal(4ul, gate.LastReleased);
    }

    [Fact]
    public void A_primary_ahead_of_the_replay_has_released_what_is_made_later()
    {
        var gate = new OutputGate(Options, GateMode.Replaying, 0);
        gate.PeerReleased(2);
        for (ulong number = 1; number <= 3; number++)
            gate.Add(Frame(number, 0));

        Assert.Equal(1, gate.Count);
        Assert.Equal([3ul], Numbers(gate.GoLive()));
    }

    [Fact]
    public void Console_bytes_are_taken_once_and_a_gap_is_seen()
    {
        var cursor = new ConsoleCursor(3);

        Assert.True(cursor.TryTake(new ConsoleOutput(0, ConsoleKind.Serial, 1, [1, 2, 3, 4]), out var fresh));
        Assert.Equal<byte>([3, 4], fresh);
        Assert.True(cursor.TryTake(new ConsoleOutput(0, ConsoleKind.Serial, 1, [1, 2]), out fresh));
        Assert.Empty(fresh);
        Assert.False(cursor.TryTake(new ConsoleOutput(0, ConsoleKind.Serial, 6, [1]), out _));
        Assert.Equal(5ul, cursor.Position);
    }

    private static GatedOutput Frame(ulong number, ulong mark) => new(number, new NetTransmit(0, 0, [[1]]), new Lsn(mark));

    private static GatedOutput Disk(ulong number, DiskRequestKind kind, ulong sector) =>
        new(number, new DiskRequested(0, 0, new DiskRequest(number, kind, sector, 512, [])), new Lsn(1));

    private static IEnumerable<ulong> Numbers(IEnumerable<GatedOutput> outputs) => outputs.Select(output => output.Number);
}
