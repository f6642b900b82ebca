using System.Collections.Immutable;
using System.Net.Sockets;
using Akka.Actor;
using FtAkka.DeviceActors.Nics;

namespace FtAkka.DeviceActors.Tests.Nics;

/// <summary>The NIC actor over real unix sockets, and with a link the test holds in its hand.</summary>
public sealed class NicActorTests : PatientTestKit
{
    private readonly TemporaryFolder folder = new();

    protected override void AfterAll()
    {
        base.AfterAll();
        folder.Dispose();
    }

    private static ImmutableArray<byte> Frame(int length, int seed) => [.. Enumerable.Range(0, length).Select(i => (byte)((i * 5) + seed))];

    private static byte[][] Arrays(ImmutableArray<ImmutableArray<byte>> frames) => [.. frames.Select(f => f.ToArray())];

    private static byte[] ReadExactly(Socket socket, int count)
    {
        byte[] bytes = new byte[count];
        for (int done = 0; done < count;)
        {
            int read = socket.Receive(bytes.AsSpan(done));
            Assert.NotEqual(0, read);
            done += read;
        }
        return bytes;
    }

    private static Socket Connect(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = PatienceMilliseconds };
        socket.Connect(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    [Fact]
    public void Server_exchanges_frames_with_one_peer_after_the_other()
    {
        string path = folder.File("nic");
        IActorRef nic = Sys.ActorOf(NicActor.Props(new UnixStreamLink(path, UnixStreamRole.Server)));
        nic.Tell(new NicProtocol.Attach());
        Assert.False(ExpectMsg<NicProtocol.LinkState>().Connected);
        for (int round = 0; round < 3; round++)
        {
            using (Socket peer = Connect(path))
            {
                Assert.True(ExpectMsg<NicProtocol.LinkState>(Patience).Connected);
                peer.Send(StreamFraming.Encode([Frame(60, round), Frame(1514, round)]));
                NicProtocol.Received received = ExpectMsg<NicProtocol.Received>(Patience);
                Assert.Equal([Frame(60, round).ToArray(), Frame(1514, round).ToArray()], Arrays(received.Frames));
                nic.Tell(new NicProtocol.Transmit([Frame(100, round)]));
                Assert.Equal([0, 0, 0, 100, .. Frame(100, round)], ReadExactly(peer, 104));
                nic.Tell(new NicProtocol.ReceiveMore());
            }
            Assert.False(ExpectMsg<NicProtocol.LinkState>(Patience).Connected);
        }
    }

    [Fact]
    public void Client_connects_when_somebody_listens_and_again_after_a_loss()
    {
        string path = folder.File("nic");
        IActorRef nic = Sys.ActorOf(NicActor.Props(new UnixStreamLink(path, UnixStreamRole.Client)));
        nic.Tell(new NicProtocol.Attach());
        ExpectMsg<NicProtocol.LinkState>();
        for (int round = 0; round < 2; round++)
        {
            using (var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
            {
                listener.Bind(new UnixDomainSocketEndPoint(path));
                listener.Listen();
                using Socket peer = listener.Accept();
                Assert.True(ExpectMsg<NicProtocol.LinkState>(Patience).Connected);
            }
            File.Delete(path);
            Assert.False(ExpectMsg<NicProtocol.LinkState>(Patience).Connected);
        }
    }

    [Fact]
    public void Peer_that_breaks_the_framing_is_dropped()
    {
        string path = folder.File("nic");
        IActorRef nic = Sys.ActorOf(NicActor.Props(new UnixStreamLink(path, UnixStreamRole.Server)));
        nic.Tell(new NicProtocol.Attach());
        ExpectMsg<NicProtocol.LinkState>();
        using Socket peer = Connect(path);
        ExpectMsg<NicProtocol.LinkState>(Patience);
        peer.Send([0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3]);
        Assert.False(ExpectMsg<NicProtocol.LinkState>(Patience).Connected);
        Assert.ThrowsAny<Exception>(() => ReadExactly(peer, 1));
    }

    [Fact]
    public void Frames_without_a_peer_are_dropped()
    {
        string path = folder.File("nic");
        IActorRef nic = Sys.ActorOf(NicActor.Props(new UnixStreamLink(path, UnixStreamRole.Server)));
        nic.Tell(new NicProtocol.Transmit([Frame(60, 0), Frame(60, 1)]));
        nic.Tell(new NicProtocol.Attach());
        Assert.False(ExpectMsg<NicProtocol.LinkState>().Connected);
        using Socket peer = Connect(path);
        Assert.True(ExpectMsg<NicProtocol.LinkState>(Patience).Connected);
        nic.Tell(new NicProtocol.Transmit([Frame(60, 2)]));
        Assert.Equal([0, 0, 0, 60, .. Frame(60, 2)], ReadExactly(peer, 64));
    }

    [Fact]
    public void Path_in_use_is_refused_and_a_stale_socket_is_taken_over()
    {
        string path = folder.File("nic");
        using (var first = new UnixStreamLink(path, UnixStreamRole.Server))
        {
            Assert.ThrowsAny<IOException>(() => new UnixStreamLink(path, UnixStreamRole.Server));
        }
        Assert.False(File.Exists(path));
        using (var killed = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            killed.Bind(new UnixDomainSocketEndPoint(path));
        }
        File.WriteAllText(folder.File("text"), "not a socket");
        Assert.ThrowsAny<IOException>(() => new UnixStreamLink(folder.File("text"), UnixStreamRole.Server));
        Assert.Equal("not a socket", File.ReadAllText(folder.File("text")));
        using var second = new UnixStreamLink(path, UnixStreamRole.Server);
        Assert.True(File.Exists(path));
    }

    private sealed class ManualLink : IFrameLink
    {
        public bool ConnectedAtStart { get; init; }

        private TaskCompletionSource<LinkInput>? receive;
        private TaskCompletionSource<int>? send;

        public int Receives { get; private set; }

        public List<int> Sends { get; } = [];

        public Task<LinkInput> ReceiveAsync()
        {
            // Counted last: the test answers what it sees counted.
            var next = new TaskCompletionSource<LinkInput>();
            receive = next;
            Receives++;
            return next.Task;
        }

        public Task<int> SendAsync(ImmutableArray<ImmutableArray<byte>> frames)
        {
            var next = new TaskCompletionSource<int>();
            send = next;
            Sends.Add(frames.Length);
            return next.Task;
        }

        public void Arrive(params ImmutableArray<byte>[] frames) => receive!.SetResult(new LinkInput([.. frames], true));

        public void Break() => receive!.SetException(new IOException("cable cut"));

        public void EndSend(int sent) => send!.SetResult(sent);

        public void Dispose()
        {
        }
    }

    /// <summary>Returns when the card has worked off what it was sent before.</summary>
    private void AwaitWorkedOff(IActorRef nic)
    {
        nic.Tell(new Identify(null));
        ExpectMsg<ActorIdentity>();
    }

    [Fact]
    public void Next_frames_are_read_only_after_the_owner_asks_for_more()
    {
        var link = new ManualLink();
        IActorRef nic = Sys.ActorOf(NicActor.Props(link));
        AwaitWorkedOff(nic);
        Assert.Equal(0, link.Receives);   // nothing is taken from the network before somebody is attached
        nic.Tell(new NicProtocol.Attach());
        ExpectMsg<NicProtocol.LinkState>();
        AwaitAssert(() => Assert.Equal(1, link.Receives));
        link.Arrive(Frame(60, 1));
        ExpectMsg<NicProtocol.LinkState>();
        ExpectMsg<NicProtocol.Received>();
        AwaitWorkedOff(nic);
        Assert.Equal(1, link.Receives);
        nic.Tell(new NicProtocol.ReceiveMore());
        AwaitAssert(() => Assert.Equal(2, link.Receives));
        link.Break();
        Assert.Equal("cable cut", ExpectMsg<NicProtocol.LinkFailed>().Reason);
    }

    [Fact]
    public void Slow_link_gets_what_gathered_in_one_batch_and_the_queue_is_bounded()
    {
        var link = new ManualLink();
        IActorRef nic = Sys.ActorOf(NicActor.Props(link));
        nic.Tell(new NicProtocol.Transmit([Frame(60, 1)]));
        AwaitAssert(() => Assert.Equal([1], link.Sends));
        for (int i = 0; i < NicActor.QueuedFramesMax + 5; i++)
        {
            nic.Tell(new NicProtocol.Transmit([Frame(60, i)]));
        }
        AwaitWorkedOff(nic);
        link.EndSend(1);
        AwaitAssert(() => Assert.Equal([1, NicActor.QueuedFramesMax], link.Sends));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Cable_is_in_from_the_first_moment_if_the_link_says_so(bool atStart)
    {
        IActorRef nic = Sys.ActorOf(NicActor.Props(new ManualLink { ConnectedAtStart = atStart }));
        nic.Tell(new NicProtocol.Attach());
        Assert.Equal(atStart, ExpectMsg<NicProtocol.LinkState>(Patience).Connected);
    }

    [Fact]
    public void Announcement_is_repeated_until_the_card_is_closed()
    {
        string path = folder.File("nic");
        TimeSpan[] later = [.. Enumerable.Range(1, 3).Select(i => TimeSpan.FromMilliseconds(30 * i)), TimeSpan.FromHours(1)];
        IActorRef nic = Sys.ActorOf(NicActor.Props(new UnixStreamLink(path, UnixStreamRole.Server), [.. later]));
        nic.Tell(new NicProtocol.Attach());
        ExpectMsg<NicProtocol.LinkState>();
        using Socket peer = Connect(path);
        ExpectMsg<NicProtocol.LinkState>(Patience);

        nic.Tell(new NicProtocol.Announce([2, 0, 0, 0, 0, 9]));
        byte[] frame = [0, 0, 0, 60, .. RarpAnnouncement.Build([2, 0, 0, 0, 0, 9])];
        Assert.Equal([.. frame, .. frame, .. frame, .. frame], ReadExactly(peer, 4 * frame.Length));
        Sys.Stop(nic);
        Assert.Equal(0, peer.Receive(new byte[64]));
    }

    [Fact]
    public void Announcement_leaves_as_a_frame()
    {
        string path = folder.File("nic");
        IActorRef nic = Sys.ActorOf(NicActor.Props(new UnixStreamLink(path, UnixStreamRole.Server)));
        nic.Tell(new NicProtocol.Attach());
        ExpectMsg<NicProtocol.LinkState>();
        using Socket peer = Connect(path);
        ExpectMsg<NicProtocol.LinkState>(Patience);
        nic.Tell(new NicProtocol.Announce([2, 0, 0, 0, 0, 9]));
        Assert.Equal(RarpAnnouncement.Build([2, 0, 0, 0, 0, 9]).ToArray(), ReadExactly(peer, 64)[4..]);
    }
}
