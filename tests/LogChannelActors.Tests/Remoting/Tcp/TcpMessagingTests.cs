using Akka.Actor;

namespace FtAkka.LogChannelActors.Tests.Remoting.Tcp;

public sealed class TcpMessagingTests : IDisposable
{
    private readonly TestAuthority _authority = new();

    public void Dispose() => _authority.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Ask_by_selection_and_by_reference_is_answered(bool tls)
    {
        await using var a = Node("node-a", tls);
        await using var b = Node("node-b", tls);

        var answer = await a.SelectEcho(b).Ask<Note>(new Note("hello"), TcpNode.Patience);
        var echo = await a.Resolve(b);
        var again = await echo.Ask<Note>(new Note("again"), TcpNode.Patience);

        Assert.Equal("echo: hello", answer.Text);
        Assert.Equal("echo: again", again.Text);
        Assert.Equal("akka.tcp", b.Address.Protocol);
        Assert.Equal(b.Echo.Path.Uid, echo.Path.Uid);
        Assert.Equal(b.Address, echo.Path.Address);
    }

    private TcpNode Node(string name, bool tls, string tcp = "") => TcpNode.Start(tcp, tls ? _authority.Issue(name) : null);
}
