using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Configuration;
using Akka.Event;
using FtAkka.LogChannelActors.Remoting;
using FtAkka.VmmHost.Tests.Failover;
using FtAkka.VmmHost.Vms;
using Microsoft.Extensions.Logging;

namespace FtAkka.VmmHost.Tests.Vms;

/// <summary>What a node's log says of a peer that is away.</summary>
public sealed class RemotingLinesTests
{
    [Theory]
    [InlineData(null, "remoting (akka://ftakka)", true)]
    [InlineData(null, "akka://ftakka/system/endpointManager/reliableEndpointWriter-1/endpointWriter", true)]
    [InlineData(typeof(Akka.Remote.RemoteActorRefProvider), "x", true)]
    [InlineData(null, "TcpTransport (akka://ftakka)", false)]
    [InlineData(typeof(string), "akka://ftakka/user/node", false)]
    public void Entries_of_remoting_are_known_by_class_or_source(Type? logClass, string source, bool remoting) =>
        Assert.Equal(remoting, RemotingLines.IsOfRemoting(logClass, source));

    [Fact]
    public void The_calls_that_led_to_an_error_are_left_out() => Assert.Equal(
        "Reason is: [Disassociated] [x]",
        RemotingLines.WithoutCalls("Reason is: [Disassociated\n   at Akka.Remote.A(Object b)\r\n   at Akka.B()] [x]"));

    [Fact]
    public async Task Node_that_is_away_takes_one_line_however_often_it_is_sent_to()
    {
        var output = new StringWriter();
        using ILoggerFactory loggers = LoggerFactory.Create(build => build.SetMinimumLevel(Microsoft.Extensions.Logging.LogLevel.Trace).AddProvider(new HostLog(LogFormat.Text, output)));
        Config config = ConfigurationFactory.ParseString("""
            akka {
              loglevel = INFO, logger-startup-timeout = 60s, stdout-loglevel = OFF, log-dead-letters = off
              loggers = ["FtAkka.VmmHost.Vms.StandardErrorLogger, FtAkka.VmmHost"]
              actor.provider = remote
              remote { log-remote-lifecycle-events = INFO, ftakka-tcp { hostname = 127.0.0.1, port = 0, enable-ssl = off } }
            }
            """).WithFallback(RemotingDefaults.Reference);
        var system = ActorSystem.Create("quiet", BootstrapSetup.Create().WithConfig(config).And(new HostLogSetup(loggers)));
        string away = $"127.0.0.1:{FreePort.Next()}";
        var seen = new TaskCompletionSource();
        system.EventStream.Subscribe(system.ActorOf(Props.Create(() => new Counter(seen))), typeof(Akka.Remote.AssociationErrorEvent));
        using var repeated = new CancellationTokenSource();
        Task sending = Task.Run(async () =>
        {
            while (!repeated.IsCancellationRequested)
            {
                system.ActorSelection($"akka.tcp://quiet@{away}/user/x").Tell("hello");
                await Task.Delay(20);
            }
        });
        await seen.Task.WaitAsync(TimeSpan.FromSeconds(60));
        await repeated.CancelAsync();
        await sending;
        await system.Terminate();
        string[] lines = [.. output.ToString().Split(Environment.NewLine).Where(line => line.Contains(away, StringComparison.Ordinal))];
        Assert.True(lines.Length == 1, string.Join('\n', lines));
        Assert.StartsWith("ftakka: warning: ", lines[0], StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", output.ToString(), StringComparison.Ordinal);
    }

    private sealed class Counter : ReceiveActor
    {
        private int failed;

        public Counter(TaskCompletionSource seen) => Receive<Akka.Remote.AssociationErrorEvent>(_ =>
        {
            if (++failed == 10)
            {
                seen.TrySetResult();
            }
        });
    }
}
