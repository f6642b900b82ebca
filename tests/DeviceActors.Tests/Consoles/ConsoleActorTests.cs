using System.IO.Pipes;
using System.Net.Sockets;
using System.Text;
using Akka.Actor;
using FtAkka.DeviceActors.Consoles;

namespace FtAkka.DeviceActors.Tests.Consoles;

/// <summary>The console actor over real sockets, files and pipes.</summary>
public sealed class ConsoleActorTests : PatientTestKit
{
    private readonly TemporaryFolder folder = new();

    protected override void AfterAll()
    {
        base.AfterAll();
        folder.Dispose();
    }

    private IActorRef Start(IConsoleLink link, ConsoleOptions? options = null) =>
        Sys.ActorOf(ConsoleActor.Props(link, options ?? new ConsoleOptions()));

    private static ConsoleProtocol.Write Write(ulong offset, string text) => new(offset, [.. Encoding.ASCII.GetBytes(text)]);

    private static Socket Connect(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = PatienceMilliseconds };
        socket.Connect(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    private static string ReadText(Socket socket, int count)
    {
        byte[] bytes = new byte[count];
        for (int done = 0; done < count;)
        {
            int read = socket.Receive(bytes.AsSpan(done));
            Assert.NotEqual(0, read);
            done += read;
        }
        return Encoding.ASCII.GetString(bytes);
    }

    /// <summary>Knows what its console knows: it is asked for more when the last is worked off.</summary>
    private sealed class WatchedLink(IConsoleLink link) : IConsoleLink
    {
        private bool received;

        /// <summary>Whether the console believes that somebody takes its output.</summary>
        public volatile bool Connected = link.ConnectedAtStart;

        public bool ConnectedAtStart => link.ConnectedAtStart;

        public async Task<ConsoleLinkInput> ReceiveAsync()
        {
            Connected = received;
            ConsoleLinkInput input = await link.ReceiveAsync();
            received = input.Connected;
            return input;
        }

        public Task<bool> SendAsync(ulong offset, ReadOnlyMemory<byte> bytes) => link.SendAsync(offset, bytes);

        public void Dispose() => link.Dispose();
    }

    [Fact]
    public void Clients_come_and_go_and_miss_nothing()
    {
        string path = folder.File("console");
        var link = new WatchedLink(new UnixConsoleLink(path));
        IActorRef console = Start(link);
        console.Tell(Write(0, "boot "));
        Assert.Equal(5ul, ExpectMsg<ConsoleProtocol.Written>().NextOffset);
        console.Tell(new ConsoleProtocol.Attach());
        ulong typed = 0;
        for (int round = 0; round < 3; round++)
        {
            using (Socket client = Connect(path))
            {
                Assert.Equal("boot ", ReadText(client, 5));
                client.Send("ls\n"u8);
                ConsoleProtocol.Input input = ExpectMsg<ConsoleProtocol.Input>(Patience);
                Assert.Equal((typed, "ls\n"), (input.Offset, Encoding.ASCII.GetString(input.Bytes.AsSpan())));
                typed += 3;
                console.Tell(new ConsoleProtocol.InputMore());
            }
            AwaitAssert(() => Assert.False(link.Connected), Patience);
            console.Tell(Write(5 * (ulong)(round + 1), "boot "));   // nobody is there: kept for the next client
            ExpectMsg<ConsoleProtocol.Written>();
        }
    }

    [Fact]
    public void File_holds_each_output_byte_once_after_a_replica_wrote_again()
    {
        string path = folder.File("console.log");
        IActorRef primary = Start(new FileConsoleLink(path));
        primary.Tell(Write(0, "hello "));
        ExpectMsg<ConsoleProtocol.Written>();
        primary.Tell(Write(6, "wor"));
        Assert.Equal(9ul, ExpectMsg<ConsoleProtocol.Written>().NextOffset);
        AwaitAssert(() => Assert.Equal("hello wor", File.ReadAllText(path)), Patience);

        // The replica knows only that 4 bytes were released for sure, and sends the rest again.
        IActorRef backup = Start(new FileConsoleLink(path, continueExisting: true), new ConsoleOptions { StartOffset = 4 });
        backup.Tell(Write(4, "o world\n"));
        ExpectMsg<ConsoleProtocol.Written>();
        AwaitAssert(() => Assert.Equal("hello world\n", File.ReadAllText(path)), Patience);
    }

    [Fact]
    public void Streams_carry_both_directions_and_the_escape_key_leaves()
    {
        using var toConsole = new AnonymousPipeServerStream(PipeDirection.Out);
        using var consoleInput = new AnonymousPipeClientStream(PipeDirection.In, toConsole.ClientSafePipeHandle);
        using var output = new MemoryStream();
        IActorRef console = Start(new StreamConsoleLink(consoleInput, output), new ConsoleOptions { EscapeKey = true });
        console.Tell(Write(0, "login: "));
        ExpectMsg<ConsoleProtocol.Written>();
        console.Tell(new ConsoleProtocol.Attach());
        toConsole.Write("root\r\u0001xignored"u8);
        Assert.Equal("root\r"u8.ToArray(), ExpectMsg<ConsoleProtocol.Input>(Patience).Bytes.ToArray());
        ExpectMsg<ConsoleProtocol.LeaveRequested>(Patience);
        AwaitAssert(() => Assert.Equal("login: "u8.ToArray(), output.ToArray()), Patience);
    }

    [Fact]
    public void Input_waits_until_the_owner_asks_for_more()
    {
        string path = folder.File("console");
        IActorRef console = Start(new UnixConsoleLink(path));
        console.Tell(new ConsoleProtocol.Attach());
        using Socket client = Connect(path);
        client.Send("a"u8);
        ExpectMsg<ConsoleProtocol.Input>(Patience);
        client.Send("b"u8);
        ExpectNoMsg(TimeSpan.FromMilliseconds(100));
        console.Tell(new ConsoleProtocol.InputMore());
        Assert.Equal((1ul, (byte)'b'), (ExpectMsg<ConsoleProtocol.Input>(Patience) is var input ? input.Offset : 0, input.Bytes[0]));
    }

    [Fact]
    public void Output_to_a_full_device_is_an_error_in_the_log_and_not_the_end()
    {
        IActorRef console = Start(new FileConsoleLink("/dev/full", continueExisting: true));
        console.Tell(Write(0, "x"));
        ExpectMsg<ConsoleProtocol.Written>();
        console.Tell(Write(1, "y"));
        Assert.Equal(2ul, ExpectMsg<ConsoleProtocol.Written>().NextOffset);
        console.Tell(new ConsoleProtocol.Drain());
        ExpectMsg<ConsoleProtocol.Drained>(Patience);
        console.Tell(Write(2, "z"));
        Assert.Equal(3ul, ExpectMsg<ConsoleProtocol.Written>().NextOffset);
    }
}
