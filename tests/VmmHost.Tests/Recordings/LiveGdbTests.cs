using System.Globalization;
using FtAkka.GuestKit;
using FtAkka.TinyGuests;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Tests.Guests;

namespace FtAkka.VmmHost.Tests.Recordings;

/// <summary><c>ftakka run --gdb</c>: a debugger on a VM that lives.</summary>
public sealed class LiveGdbTests : IDisposable
{
    private const int Rax = 0, Rsp = 7;
    private const int JournalRecords = 3;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly TemporaryFolder folder = new(Path.GetTempPath());
    private readonly StringWriter messages = new();

    public void Dispose() => folder.Dispose();

    private string ConsoleFile => Path.Combine(folder.Path, "console");

    [Fact]
    public async Task Steps_stops_changes_interrupts_and_lets_go()
    {
        Task<int> run = StartRun();
        using (var debugger = new RspClient(await PortAsync(run)))
        {
            Assert.DoesNotContain("ReverseStep", debugger.Ask("qSupported:multiprocess+"), StringComparison.Ordinal);
            Assert.Equal(0UL, debugger.Icount);
            ulong again = StepIntoALoop(debugger);

            // A breakpoint there is hit each time round.
            Assert.Equal("OK", debugger.Ask($"Z1,{again:x},1"));
            ulong before = debugger.Icount;
            for (int round = 0; round < 3; round++)
            {
                Assert.Equal("T05thread:01;", debugger.Ask("vCont;c"));
                Assert.Equal(again, debugger.ReadRip());
                Assert.True(debugger.Icount > before);
                before = debugger.Icount;
            }
            Assert.Equal("OK", debugger.Ask($"z1,{again:x},1"));

            AssertWatchpointStops(debugger);
            AssertChangesStick(debugger);

            debugger.Send("vCont;c");
            debugger.Interrupt();
            Assert.Equal("T02thread:01;", debugger.Receive());
            Assert.Equal("OK", debugger.Ask("D"));
        }
        Assert.Equal(ExitCode.Ok, await run.WaitAsync(Patience));
        Assert.Equal(TinyGuest.JournalText(1, JournalRecords), File.ReadAllText(ConsoleFile));
    }

    [Fact]
    public async Task Kill_ends_the_machine()
    {
        Task<int> run = StartRun();
        using (var debugger = new RspClient(await PortAsync(run)))
        {
            debugger.Send("k");
            Assert.Equal(ExitCode.Ok, await run.WaitAsync(Patience));
        }
        Assert.Contains("the debugger ended the VM", Messages(), StringComparison.Ordinal);
        Assert.Equal("", File.ReadAllText(ConsoleFile));
    }

    [HostProgramFact("gdb")]
    public async Task Gdb_of_the_host_attaches_steps_breaks_and_detaches()
    {
        Task<int> run = StartRun();
        int port = await PortAsync(run);
        HostCommand gdb = await Task.Run(() => HostCommand.Run("gdb",
        [
            "-nx", "-batch", "-ex", "set pagination off", "-ex", "set architecture i386:x86-64", "-ex", $"target remote 127.0.0.1:{port}",
            "-ex", "printf \"AT %lu\\n\", $icount", "-ex", "stepi 20", "-ex", "printf \"AT %lu\\n\", $icount", "-ex", "set $place = $rip", "-ex", "stepi 5",
            "-ex", "set var $r11 = 0x1234", "-ex", "printf \"R11 %lx\\n\", $r11", "-ex", "x/i $rip", "-ex", "detach",
        ])).WaitAsync(Patience);
        string[] seen = [.. gdb.Output.Split('\n').Where(line => line.StartsWith("AT ", StringComparison.Ordinal) || line.StartsWith("R11 ", StringComparison.Ordinal))];
        Assert.True(seen is ["AT 0", "AT 20", "R11 1234"], gdb.Output + gdb.Error);
        Assert.Equal(ExitCode.Ok, await run.WaitAsync(Patience));
    }

    /// <summary>Steps until some place has come up three times, each time from another place: a loop, and not a REP instruction.</summary>
    private static ulong StepIntoALoop(RspClient debugger)
    {
        Dictionary<ulong, int> visits = [];
        ulong last = debugger.ReadRip();
        for (int step = 1; ; step++)
        {
            Assert.True(step < 6000, "the guest has no loop");
            ulong icount = debugger.Icount;
            Assert.Equal("T05thread:01;", debugger.Ask("vCont;s:1"));
            Assert.Equal(icount + 1, debugger.Icount);
            ulong rip = debugger.ReadRip();
            visits[rip] = visits.GetValueOrDefault(rip) + (rip == last ? 0 : 1);
            if (visits[rip] == 3 && rip != last)
            {
                return rip;
            }
            last = rip;
        }
    }

    /// <summary>The next push or call writes below the stack pointer.</summary>
    private static void AssertWatchpointStops(RspClient debugger)
    {
        ulong below = debugger.ReadRegister(Rsp) - 8;
        Assert.Equal("OK", debugger.Ask($"Z2,{below:x},8"));
        Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"T05thread:01;watch:{below:x};"), debugger.Ask("vCont;c"));
        Assert.Equal("OK", debugger.Ask($"z2,{below:x},8"));
    }

    private static void AssertChangesStick(RspClient debugger)
    {
        ulong rax = debugger.ReadRegister(Rax);
        Assert.Equal("OK", debugger.Ask("P0=efcdab8967452301"));
        Assert.Equal(0x0123456789abcdefUL, debugger.ReadRegister(Rax));
        Assert.Equal("OK", debugger.Ask($"P0={Convert.ToHexStringLower(BitConverter.GetBytes(rax))}"));
        // Far below the stack, where nothing is.
        ulong unused = debugger.ReadRegister(Rsp) - 512;
        Assert.Equal("OK", debugger.Ask($"M{unused:x},3:a1b2c3"));
        Assert.Equal("a1b2c3", debugger.Ask($"m{unused:x},3"));
        Assert.StartsWith("E", debugger.Ask("mffffffff00000000,4"), StringComparison.Ordinal);
    }

    private Task<int> StartRun()
    {
        string kernel = Path.Combine(folder.Path, "tiny.elf");
        File.WriteAllBytes(kernel, TinyGuest.Kernel);
        string disk = Path.Combine(folder.Path, "disk.img");
        File.WriteAllBytes(disk, new byte[64 << 10]);
        var application = new CommandLineApplication(CommandLineApplication.FindModules(), TextWriter.Null, TextWriter.Synchronized(messages));
        return Task.Run(() => application.RunAsync(
        [
            "run", "--kernel", kernel, "--memory", "16M", "--append", $"workload=journal records={JournalRecords} pause=500000000", "--disk", disk,
            "--console", $"file:{ConsoleFile}", "--gdb", "0",
        ]));
    }

    private string Messages()
    {
        lock (messages)
        {
            return messages.ToString();
        }
    }

    private async Task<int> PortAsync(Task<int> run)
    {
        const string before = "target remote :";
        while (true)
        {
            string text = Messages();
            int at = text.IndexOf(before, StringComparison.Ordinal);
            if (at >= 0 && text.IndexOf('\n', at) is > 0 and int end)
            {
                return int.Parse(text[(at + before.Length)..end].Trim(), CultureInfo.InvariantCulture);
            }
            Assert.False(run.IsCompleted, text);
            await Task.Delay(20);
        }
    }
}
