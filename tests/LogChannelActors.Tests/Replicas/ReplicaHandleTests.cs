using Akka.Actor;
using Akka.TestKit.Xunit2;
using FtAkka.LogChannelActors.Replicas;
using FtAkka.Replication.Messages;
using FtAkka.Replication.Protection;

namespace FtAkka.LogChannelActors.Tests.Replicas;

/// <summary>What other threads may ask of a replica.</summary>
public sealed class ReplicaHandleTests : TestKit
{
    private readonly ReplicaHandle handle;

    public ReplicaHandleTests()
    {
        var setup = new ReplicaSetup { Id = new ReplicaIdentity("vm", "A", 1), Protection = new ProtectionOptions(), Profile = "" };
        handle = new ReplicaHandle(TestActor, () => TimeSpan.FromSeconds(1), ReplicaCore.StartSolo(setup, 1, default, default));
    }

    [Fact]
    public void Peer_that_sends_faster_than_the_replica_takes_it_does_not_fill_the_memory()
    {
        var message = new LogAppend([.. new byte[1 << 20]], 1, 1);
        for (int i = 0; i < 2 * (ReplicaHandle.WaitingBytesMax >> 20); i++)
        {
            handle.Received(message);
        }

        long taken = 0;
        while (ReceiveOne(TimeSpan.FromMilliseconds(200)) is ReplicaInput.Received)
        {
            taken++;
        }
        Assert.InRange(taken, (ReplicaHandle.WaitingBytesMax >> 20) - 2, ReplicaHandle.WaitingBytesMax >> 20);

        handle.Taken(message);
        handle.Received(message);
        ExpectMsg<ReplicaInput.Received>(TimeSpan.FromMinutes(1));
    }

    [Fact]
    public void Replica_without_a_peer_is_not_told_of_nodes_and_one_that_is_over_of_nothing()
    {
        handle.Restarted("B");
        handle.Protect("B");
        Assert.Equal("B", ExpectMsg<ReplicaInput.Protect>(TimeSpan.FromMinutes(1)).PeerNode);

        handle.End();
        handle.Unprotect();
        ExpectNoMsg(TimeSpan.FromMilliseconds(100));
    }

    [Fact]
    public void Fence_that_was_closed_lets_no_device_act()
    {
        Assert.True(handle.MayAct);
        handle.MoveFence(new Instant(TimeSpan.TicksPerSecond));
        Assert.False(handle.MayAct);
        handle.MoveFence(FenceTime.Open);
        Assert.True(handle.MayAct);
        handle.CloseFence();
        Assert.False(handle.MayAct);
    }
}
