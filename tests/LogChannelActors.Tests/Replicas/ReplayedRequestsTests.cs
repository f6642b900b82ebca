using FtAkka.LogChannelActors.Replicas;
using FtAkka.Machine;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Protection;

namespace FtAkka.LogChannelActors.Tests.Replicas;

/// <summary>What a backup does to its own disk: each change once and in order, reads until they succeed (the paper, 4.2).</summary>
public sealed class ReplayedRequestsTests
{
    private readonly List<ulong> issued = [];
    private readonly Dictionary<ulong, Action<DiskCompletion, string?>> underWay = [];
    private readonly List<object> told = [];
    private readonly List<ulong> read = [];
    private readonly Queue<Action> later = new();
    private readonly ReplayedRequests requests;

    public ReplayedRequestsTests() => requests = new ReplayedRequests(1, told.Add, (_, completion) => read.Add(completion.Id), (message, then) =>
    {
        issued.Add(message.Request.Id);
        underWay[message.Request.Id] = then;
    }, later.Enqueue);

    private void Perform(ulong id, DiskRequestKind kind, ulong sector) =>
        requests.Perform(new ReplicaDisksProtocol.Perform(100 + id, 0, new DiskRequest(id, kind, sector, 512, kind == DiskRequestKind.Write ? [.. new byte[512]] : [])));

    private void End(ulong id, DiskStatus status = DiskStatus.Ok)
    {
        underWay.Remove(id, out Action<DiskCompletion, string?>? then);
        then!(new DiskCompletion(id, status, []), status == DiskStatus.Ok ? null : "broken");
    }

    [Fact]
    public void A_failed_read_is_tried_again_and_no_later_write_overtakes_it()
    {
        Perform(0, DiskRequestKind.Read, 8);
        Perform(1, DiskRequestKind.Write, 8);
        Perform(2, DiskRequestKind.Write, 9);
        Assert.Equal([0ul, 2ul], issued);

        End(0, DiskStatus.IoError);
        Assert.Empty(read);
        later.Dequeue()();
        Assert.Equal([0ul, 2ul, 0ul], issued);
        End(0);

        Assert.Equal([0ul], read);
        Assert.Equal([0ul, 2ul, 0ul, 1ul], issued);
        End(1);
        Assert.Equal([new ReplicaInput.OwnRequestPerformed(101)], told);
    }

    [Fact]
    public void A_read_that_failed_on_the_primary_is_given_up_and_what_waited_for_it_goes_on()
    {
        Perform(0, DiskRequestKind.Read, 8);
        Perform(1, DiskRequestKind.Write, 8);
        End(0, DiskStatus.IoError);
        requests.Forget(0, 0);

        later.Dequeue()();

        Assert.Equal([0ul, 1ul], issued);
        Assert.Empty(read);
    }

    [Fact]
    public void A_read_whose_data_came_before_replay_asked_for_it_is_not_performed_and_a_write_is()
    {
        requests.Forget(0, 5);
        requests.Forget(0, 6);
        Perform(5, DiskRequestKind.Read, 8);
        Perform(6, DiskRequestKind.Write, 8);

        Assert.Equal([6ul], issued);
        End(6);
        Assert.Equal([new ReplicaInput.OwnRequestPerformed(106)], told);
    }

    /// <summary>The gate holds replay, but only behind the turn that fills it.</summary>
    [Fact]
    public void A_disk_that_is_merely_slow_may_owe_what_the_output_gate_keeps_and_a_turn_more()
    {
        int owed = new ProtectionOptions().OutputsMax + ReplayActor.OutputsPerTurn + new MachineLimits().EffectsPerRunMax;
        for (int id = 0; id < owed; id++)
        {
            Perform((ulong)id, DiskRequestKind.Write, (ulong)id);
        }
        Assert.Equal(owed, issued.Count);
        Assert.Empty(told);
    }

    [Fact]
    public void A_failed_write_is_told_with_its_reason_and_not_tried_again()
    {
        Perform(0, DiskRequestKind.Write, 8);
        End(0, DiskStatus.IoError);

        Assert.Equal([new ReplicaInput.OwnDiskFailed("disk 0, Write of 512 bytes at sector 8: broken")], told);
        Assert.Empty(later);
    }
}
