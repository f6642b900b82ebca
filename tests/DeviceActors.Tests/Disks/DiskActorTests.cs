using Akka.Actor;
using FtAkka.DeviceActors.Disks;
using FtAkka.Machine;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Protection;

namespace FtAkka.DeviceActors.Tests.Disks;

/// <summary>The disk actor over a backend whose requests end when the test says so, and over a real file.</summary>
public sealed class DiskActorTests : PatientTestKit
{
    private sealed class ManualBackend : IDiskBackend
    {
        private readonly Dictionary<ulong, TaskCompletionSource<DiskOutcome>> running = [];

        public List<ulong> Issued { get; } = [];

        public bool Disposed { get; private set; }

        /// <summary>Whether a request is executed at once.</summary>
        public Func<ulong, bool> IsKnown { get; init; } = _ => false;

        public ulong CapacitySectors => 100;

        public bool ReadOnly => false;

        public DiskOutcome? TryExecuteAtOnce(DiskRequest request)
        {
            if (!IsKnown(request.Id))
            {
                return null;
            }
            lock (running)
            {
                Issued.Add(request.Id);
            }
            return new DiskOutcome(new DiskCompletion(request.Id, DiskStatus.Ok, []), null);
        }

        public Task<DiskOutcome> ExecuteAsync(DiskRequest request)
        {
            lock (running)
            {
                Issued.Add(request.Id);
                running[request.Id] = new TaskCompletionSource<DiskOutcome>();
                return running[request.Id].Task;
            }
        }

        public ulong[] IssuedNow()
        {
            lock (running)
            {
                return [.. Issued];
            }
        }

        public void End(ulong id, DiskStatus status = DiskStatus.Ok, string? reason = null)
        {
            TaskCompletionSource<DiskOutcome> done;
            lock (running)
            {
                done = running[id];
            }
            done.SetResult(new DiskOutcome(new DiskCompletion(id, status, []), reason));
        }

        public void Break(ulong id) => running[id].SetException(new IOException("gone"));

        public void Dispose() => Disposed = true;
    }

    private static DiskProtocol.Execute Write(ulong id, ulong sector, uint sectors = 1) =>
        new(new DiskRequest(id, DiskRequestKind.Write, sector, sectors * 512ul, [.. new byte[sectors * 512]]));

    private static DiskProtocol.Execute Read(ulong id, ulong sector, uint sectors = 1) =>
        new(new DiskRequest(id, DiskRequestKind.Read, sector, sectors * 512ul, []));

    /// <summary>What a backup may owe its own disk when its replay is held (ReplayedRequestsTests has the other half).</summary>
    [Fact]
    public void Limit_of_requests_is_above_what_an_output_gate_keeps_and_a_turn_of_replay_more() =>
        Assert.True(DiskActor.RequestsMax >= new ProtectionOptions().OutputsMax + (2 * new MachineLimits().EffectsPerRunMax));

    [Fact]
    public void Paper_3_4_conflicting_requests_are_issued_in_submission_order()
    {
        var backend = new ManualBackend();
        IActorRef disk = Sys.ActorOf(DiskActor.Props(backend));
        disk.Tell(Write(1, 0, 8));
        disk.Tell(Read(2, 4, 8));
        disk.Tell(Read(3, 50));
        disk.Tell(Write(4, 11));
        AwaitAssert(() => Assert.Equal([1ul, 3ul], backend.IssuedNow()));
        backend.End(1);
        Assert.Equal(1ul, ExpectMsg<DiskProtocol.Completed>().Completion.Id);
        AwaitAssert(() => Assert.Equal([1ul, 3ul, 2ul], backend.IssuedNow()));
        backend.End(2);
        Assert.Equal(2ul, ExpectMsg<DiskProtocol.Completed>().Completion.Id);
        AwaitAssert(() => Assert.Equal([1ul, 3ul, 2ul, 4ul], backend.IssuedNow()));
    }

    [Fact]
    public void Requests_held_up_by_one_that_waits_are_done_at_once_in_order_when_it_has_ended()
    {
        const int Held = 2000;   // all conflict: done one inside the other, they would need so many stack frames
        var backend = new ManualBackend { IsKnown = id => id != 1 };
        IActorRef disk = Sys.ActorOf(DiskActor.Props(backend));
        for (ulong id = 1; id <= Held; id++)
        {
            disk.Tell(Write(id, 0));
        }
        disk.Tell(Read(Held + 1, 50));
        disk.Tell(new DiskProtocol.Drain());
        Assert.Equal(Held + 1ul, ExpectMsg<DiskProtocol.Completed>().Completion.Id);
        backend.End(1);
        Assert.Equal(Enumerable.Range(1, Held).Select(id => (ulong)id), Enumerable.Range(1, Held).Select(_ => ExpectMsg<DiskProtocol.Completed>().Completion.Id));
        ExpectMsg<DiskProtocol.Drained>();
        Assert.Equal([1ul, Held + 1ul, .. Enumerable.Range(2, Held - 1).Select(id => (ulong)id)], backend.IssuedNow());
    }

    [Fact]
    public void Requests_that_fail_in_a_row_are_one_line_in_the_log()
    {
        var backend = new ManualBackend();
        IActorRef disk = Sys.ActorOf(DiskActor.Props(backend));
        EventFilter.Warning(contains: "medium error").ExpectOne(() =>
        {
            for (ulong id = 1; id <= 20; id++)
            {
                ulong request = id;
                disk.Tell(Write(request, request));
                AwaitAssert(() => Assert.Contains(request, backend.IssuedNow()));
                backend.End(request, DiskStatus.IoError, "medium error");
                Assert.Equal(request, ExpectMsg<DiskProtocol.Completed>().Completion.Id);
            }
        });
    }

    [Fact]
    public void Errors_and_faulted_tasks_become_error_completions_with_the_reason()
    {
        var backend = new ManualBackend();
        IActorRef disk = Sys.ActorOf(DiskActor.Props(backend));
        disk.Tell(Write(1, 0));
        disk.Tell(Write(2, 9));
        AwaitAssert(() => Assert.Equal(2, backend.IssuedNow().Length));
        backend.End(1, DiskStatus.IoError, "medium error");
        DiskProtocol.Completed first = ExpectMsg<DiskProtocol.Completed>();
        Assert.Equal((1ul, DiskStatus.IoError, "medium error"), (first.Completion.Id, first.Completion.Status, first.HostError));
        backend.Break(2);
        DiskProtocol.Completed second = ExpectMsg<DiskProtocol.Completed>();
        Assert.Equal((2ul, DiskStatus.IoError, "gone"), (second.Completion.Id, second.Completion.Status, second.HostError));
    }

    [Fact]
    public void Drain_answers_when_the_last_request_has_ended()
    {
        var backend = new ManualBackend();
        IActorRef disk = Sys.ActorOf(DiskActor.Props(backend));
        disk.Tell(new DiskProtocol.Drain());
        ExpectMsg<DiskProtocol.Drained>();
        disk.Tell(Write(1, 0));
        disk.Tell(Write(2, 0));
        disk.Tell(new DiskProtocol.Drain());
        AwaitAssert(() => Assert.Equal([1ul], backend.IssuedNow()));
        backend.End(1);
        ExpectMsg<DiskProtocol.Completed>();
        AwaitAssert(() => Assert.Equal([1ul, 2ul], backend.IssuedNow()));
        ExpectNoMsg(TimeSpan.FromMilliseconds(50));
        backend.End(2);
        ExpectMsg<DiskProtocol.Completed>();
        ExpectMsg<DiskProtocol.Drained>();
    }

    [Fact]
    public void Request_issued_again_runs_once_and_answers_the_last_asker()
    {
        var backend = new ManualBackend();
        IActorRef disk = Sys.ActorOf(DiskActor.Props(backend));
        Akka.TestKit.TestProbe first = CreateTestProbe();
        disk.Tell(Write(1, 0), first.Ref);
        disk.Tell(Write(1, 0), TestActor);
        disk.Tell(new Identify(null));
        ExpectMsg<ActorIdentity>();   // It has worked off both.
        backend.End(1);
        Assert.Equal(1ul, ExpectMsg<DiskProtocol.Completed>().Completion.Id);
        Assert.Equal([1ul], backend.IssuedNow());
        first.ExpectNoMsg(TimeSpan.FromMilliseconds(50));
    }

    [Fact]
    public void Overlapping_writes_to_a_real_file_end_as_the_last_submitted()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("disk.img");
        File.WriteAllBytes(path, new byte[64 * 512]);
        IActorRef disk = Sys.ActorOf(DiskActor.Props(RawDiskImage.Open(new RawDiskOptions(path))));
        for (int i = 1; i <= 200; i++)
        {
            byte[] data = new byte[32 * 512];
            Array.Fill(data, (byte)i);
            disk.Tell(new DiskProtocol.Execute(new DiskRequest((ulong)i, DiskRequestKind.Write, (ulong)(i % 3), (ulong)data.Length, [.. data])));
        }
        DiskProtocol.Completed[] ends = [.. Enumerable.Range(0, 200).Select(_ => ExpectMsg<DiskProtocol.Completed>())];
        Assert.Equal(Enumerable.Range(1, 200).Select(i => (ulong)i), ends.Select(e => e.Completion.Id));   // all overlap: strictly serial
        Watch(disk);
        Sys.Stop(disk);   // the image is locked until the actor has closed it
        ExpectTerminated(disk);
        byte[] content = File.ReadAllBytes(path);
        Assert.Equal(198, content[0]);               // the last write that starts at sector 0
        Assert.Equal(199, content[512]);             // ... at sector 1
        Assert.Equal(200, content[2 * 512]);         // ... at sector 2
        Assert.Equal(200, content[(33 * 512) + 511]);
    }
}
