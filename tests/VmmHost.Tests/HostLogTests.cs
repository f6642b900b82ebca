using System.Text.Json;
using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Configuration;
using Akka.Event;
using FtAkka.VmmHost.Vms;
using Microsoft.Extensions.Logging;

namespace FtAkka.VmmHost.Tests;

/// <summary>Akka's log arrives at the process's loggers, as text and as JSON.</summary>
public sealed class HostLogTests
{
    private static async Task<string[]> LogAsync(LogFormat format, Action<ILoggingAdapter> say)
    {
        var output = new StringWriter();
        using ILoggerFactory loggers = LoggerFactory.Create(build => build.SetMinimumLevel(Microsoft.Extensions.Logging.LogLevel.Trace).AddProvider(new HostLog(format, output)));
        Config config = ConfigurationFactory.ParseString("""
            akka { loglevel = INFO, logger-startup-timeout = 60s, stdout-loglevel = OFF, loggers = ["FtAkka.VmmHost.Vms.StandardErrorLogger, FtAkka.VmmHost"] }
            """);
        var system = ActorSystem.Create("log", BootstrapSetup.Create().WithConfig(config).And(new HostLogSetup(loggers)));
        say(system.Log);
        DateTime end = DateTime.UtcNow + TimeSpan.FromSeconds(60);
        while (!output.ToString().Contains("last", StringComparison.Ordinal) && DateTime.UtcNow < end)
        {
            await Task.Delay(10);
        }
        await system.Terminate();
        return [.. output.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries)];
    }

    [Fact]
    public async Task Text_is_a_line_with_level_and_source()
    {
        string[] lines = await LogAsync(LogFormat.Text, log =>
        {
            log.Debug("not wanted");
            log.Warning("{0}: goes on without {1}", "vm", "B");
            log.Info("last");
        });
        Assert.Contains(lines, line => line.StartsWith("ftakka: warning: vm: goes on without B [", StringComparison.Ordinal));
        Assert.DoesNotContain(lines, line => line.Contains("not wanted", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_is_said_as_soon_as_the_system_is_there_is_written()
    {
        // With every processor taken, what Akka does after it has called the system started comes late.
        using var stop = new CancellationTokenSource();
        Thread[] busy = [.. Enumerable.Range(0, 2 * Environment.ProcessorCount).Select(_ => new Thread(() => SpinWait.SpinUntil(() => stop.IsCancellationRequested)))];
        Array.ForEach(busy, thread => thread.Start());
        try
        {
            for (int round = 0; round < 20; round++)
            {
                string[] lines = await LogAsync(LogFormat.Text, log =>
                {
                    log.Info("first");
                    log.Info("last");
                });
                // On a host without a free processor Akka may have something to say about its own start as well.
                string[] said = [.. lines.Where(line => line.Contains("first", StringComparison.Ordinal) || line.Contains("last", StringComparison.Ordinal))];
                Assert.True(said.Length == 2 && said[0].Contains("first", StringComparison.Ordinal), string.Join('\n', lines));
            }
        }
        finally
        {
            await stop.CancelAsync();
        }
    }

    [Fact]
    public async Task Json_is_a_document_per_line_with_the_form_of_the_message()
    {
        string[] lines = await LogAsync(LogFormat.Json, log =>
        {
            log.Error(new InvalidOperationException("reason"), "{0} failed {1} times", "vm \"x\"", 7);
            log.Info("last");
        });
        JsonElement entry = lines.Select(line => JsonDocument.Parse(line).RootElement).First(line => line.GetProperty("level").GetString() == "error");
        Assert.Equal("vm \"x\" failed 7 times", entry.GetProperty("message").GetString());
        Assert.Equal("{0} failed {1} times", entry.GetProperty("format").GetString());
        Assert.Contains("reason", entry.GetProperty("exception").GetString(), StringComparison.Ordinal);
        Assert.True(DateTimeOffset.TryParse(entry.GetProperty("time").GetString(), out _));
    }
}
