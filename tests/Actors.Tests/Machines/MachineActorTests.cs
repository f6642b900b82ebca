using System.Collections.Immutable;
using System.Text;
using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.TinyGuests;
using FtAkka.Machine;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Devices;
using FtAkka.Replication.Replay;

namespace FtAkka.Actors.Tests.Machines;

/// <summary>The machine actor and its supervisor around real machines that run the tiny guest.</summary>
public sealed class MachineActorTests : TinyVm
{
    private const string EndlessCompute = "workload=compute rounds=1000000000";

    [Fact]
    public void Guest_speaks_and_powers_off()
    {
        IActorRef vm = Start(Options(""));
        Watch(vm);
        Assert.Equal(TinyGuest.HelloText, ReadConsole("\n"));
        VmProtocol.Ended ended = ExpectEnd();
        Assert.Equal(MachineEndReason.PowerOff, ended.Reason);
        Assert.NotNull(ended.Report);
        Assert.True(ended.Report.Icount > 100);
        Assert.Equal(1UL, ended.Report.Exits[MachineExitReason.PowerOff]);
        Assert.True(ended.Report.Cpu["BlocksTranslated"] > 0);
        ExpectTerminated(vm, Patience);
    }

    [Fact]
    public void Observed_machine_runs_when_its_observer_says_so_which_has_its_outputs()
    {
        var seen = new SilentObserver();
        IActorRef vm = Start(Options("") with { Observer = seen });
        Assert.Equal(0ul, Icount(vm));
        vm.Tell(new MachineProtocol.Run());
        VmProtocol.Ended ended = ExpectEnd();
        Assert.Equal(MachineEndReason.PowerOff, ended.Reason);
        Assert.Equal([DeviceKind.Console], seen.Devices.Select(device => device.Kind));
        Assert.Empty(ended.Report!.Effects);
        ConsoleDevice.ExpectNoMsg(TimeSpan.Zero);
    }

    [Fact]
    public void Guest_that_resets_is_told_from_one_that_powers_off()
    {
        Start(Options("workload=nonsense"));
        Assert.Equal(MachineEndReason.Reset, ExpectEnd().Reason);
    }

    [Fact]
    public void Machine_that_starts_again_says_so_until_it_is_held_and_an_operator_resets_it()
    {
        MachineOptions options = Options("workload=reboot how=1 count=7");
        IActorRef vm = Start(options with { Config = options.Config with { OnReboot = EndPolicy.Restart, OnCrash = EndPolicy.Restart } });
        for (int crash = 1; crash < GuestMachine.CrashesInRowMax; crash++)
        {
            Assert.Equal(MachineEndReason.TripleFault, Observer.ExpectMsg<MachineProtocol.Restarted>(Patience).Cause);
        }
        MachineProtocol.Held held = Observer.ExpectMsg<MachineProtocol.Held>(Patience);
        Assert.Equal((MachineEndReason.TripleFault, (uint)GuestMachine.CrashesInRowMax), (held.Cause, held.CrashesInRow));
        Observer.ExpectNoMsg(TimeSpan.FromMilliseconds(200));

        vm.Tell(new MachineProtocol.Deliver(new Control(ControlOperation.Reset)));
        Assert.Equal(MachineEndReason.Reset, Observer.ExpectMsg<MachineProtocol.Restarted>(Patience).Cause);
        VmProtocol.Ended ended = ExpectEnd();
        Assert.Equal((MachineEndReason.PowerOff, 6UL), (ended.Reason, ended.Report!.Restarts));
        Assert.Equal(TinyGuest.RebootText(7), ReadConsole($"{7:x16}\n"));
    }

    [Fact]
    public void What_is_no_kernel_ends_with_the_reason()
    {
        Start(Options("") with { Kernel = new byte[10000] });
        VmProtocol.Ended ended = ExpectEnd();
        Assert.Equal(MachineEndReason.StartFailed, ended.Reason);
        Assert.Contains("neither a bzImage", ended.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Impossible_configuration_ends_with_the_reason()
    {
        MachineOptions options = Options("");
        Start(options with { Config = options.Config with { MemoryBytes = 12345 } });
        VmProtocol.Ended ended = ExpectEnd();
        Assert.Equal(MachineEndReason.StartFailed, ended.Reason);
        Assert.Contains("12345", ended.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Halted_guest_wakes_for_what_is_typed_and_the_console_gets_its_receipt()
    {
        IActorRef vm = Start(Options("workload=console"));
        string output = ReadConsole("ready\n");
        SayFrom(vm, "console0", new DeviceNews { Inputs = [Typed("Hello")], Receipt = "taken" });
        // Receipt and echo come in either order.
        bool receipt = false;
        while (!receipt || !output.EndsWith("hELLO", StringComparison.Ordinal))
        {
            object message = ConsoleDevice.ReceiveOne(Patience) ?? throw new TimeoutException($"after '{output}'");
            receipt |= message is "taken";
            output += message is ConsoleOutput piece ? Encoding.ASCII.GetString(piece.Bytes.AsSpan()) : "";
        }
        SayFrom(vm, "console0", new DeviceNews { Inputs = [Typed("\u0004")] });
        Assert.Equal(TinyGuest.ConsoleText("Hello"), output + ReadConsole("closed\n"));
        Assert.Equal(MachineEndReason.PowerOff, ExpectEnd().Reason);
    }

    [Fact]
    public void Person_at_the_console_may_leave()
    {
        IActorRef vm = Start(Options("workload=console"));
        ReadConsole("ready\n");
        SayFrom(vm, "console0", new DeviceNews { LeaveRequested = true });
        Assert.Equal(MachineEndReason.LeaveRequested, ExpectEnd().Reason);
    }

    [Theory]
    [InlineData(ControlOperation.PowerOff, MachineEndReason.PowerOff)]
    [InlineData(ControlOperation.Reset, MachineEndReason.Reset)]
    public void Operator_ends_an_idle_and_a_busy_guest(ControlOperation operation, MachineEndReason expected)
    {
        IActorRef idle = Start(Options("workload=console"));
        ReadConsole("ready\n");
        idle.Tell(new MachineProtocol.Deliver(new Control(operation)));
        Assert.Equal(expected, ExpectEnd().Reason);

        IActorRef busy = Start(Options(EndlessCompute));
        ReadConsole("\n");
        busy.Tell(new MachineProtocol.Deliver(new Control(operation)));
        Assert.Equal(expected, ExpectEnd().Reason);
    }

    [Fact]
    public void Stopped_machine_ends_without_the_guest()
    {
        IActorRef vm = Start(Options(EndlessCompute));
        ReadConsole("\n");
        vm.Tell(new MachineProtocol.Stop());
        VmProtocol.Ended ended = ExpectEnd();
        Assert.Equal(MachineEndReason.Stopped, ended.Reason);
        Assert.Equal(0UL, ended.Report!.Exits.GetValueOrDefault(MachineExitReason.PowerOff));
    }

    [Fact]
    public void Pace_bounds_what_is_executed()
    {
        const ulong Limit = 2000;
        IActorRef vm = Start(Options(EndlessCompute) with { InstructionsPerMillisecond = Limit });
        AwaitAssert(() => Assert.True(Icount(vm) > 300 * Limit / 2), Patience);

        vm.Tell(new MachineProtocol.SetShare(0));
        ulong stopped = Icount(vm);
        Thread.Sleep(50);
        Assert.Equal(stopped, Icount(vm));

        vm.Tell(new MachineProtocol.SetShare(100));
        AwaitAssert(() => Assert.True(Icount(vm) > stopped + 1000), Patience);
        vm.Tell(new MachineProtocol.Stop());
        MachineReport report = ExpectEnd().Report!;
        Assert.InRange(report.Icount, 1000UL, (ulong)(report.Elapsed.TotalMilliseconds * Limit));
    }

    [Fact]
    public void Run_ends_at_exactly_the_icount_asked_for_and_digests_come_at_theirs()
    {
        const ulong Every = 30_000, Max = 100_001;
        MachineOptions options = Options(EndlessCompute) with { DigestEvery = Every, IcountMax = Max };
        MachineDigest[][] runs = [Digests(options), Digests(options)];
        Assert.Equal([Every, 2 * Every, 3 * Every], runs[0].Select(digest => digest.Icount));
        // The clock differs between the runs, and with it the devices; what the guest computed does not.
        Assert.Equal(runs[0].Select(digest => digest.Memory), runs[1].Select(digest => digest.Memory));

        MachineDigest[] Digests(MachineOptions run)
        {
            Start(run);
            MachineDigest[] digests = [.. Enumerable.Range(0, 3).Select(_ => Observer.ExpectMsg<MachineProtocol.DigestTaken>(Patience).Digest)];
            VmProtocol.Ended ended = Observer.ExpectMsg<VmProtocol.Ended>(Patience);
            Assert.Equal((MachineEndReason.IcountMax, Max), (ended.Reason, ended.Report!.Icount));
            return digests;
        }
    }

    [Fact]
    public void Disk_requests_reach_the_disk_in_order_and_its_answers_the_guest()
    {
        const int Records = 6;
        IActorRef vm = Start(Options($"workload=journal records={Records} seed=7", withDisk: true));
        byte[] image = new byte[2048 * 512];
        ulong lastId = 0;
        VmProtocol.Ended? ended = null;
        while (ended is null)
        {
            if (DiskDevice.ReceiveOne(TimeSpan.FromMilliseconds(10)) is DiskRequested effect)
            {
                DiskRequest request = effect.Request;
                Assert.True(lastId == 0 || request.Id > lastId);
                lastId = request.Id;
                ImmutableArray<byte> data = Execute(image, request);
                var completion = new DiskCompletion(request.Id, DiskStatus.Ok, data);
                SayFrom(vm, "disk0", new DeviceNews { Inputs = [new DiskCompleted(0, completion)] });
            }
            ended = Observer.ReceiveOne(TimeSpan.Zero) as VmProtocol.Ended;
        }
        Assert.Equal(MachineEndReason.PowerOff, ended.Reason);
        byte[] expected = JournalRecord.Expected(7, Records);
        Assert.Equal(expected, image[..expected.Length]);
        Assert.Equal(TinyGuest.JournalText(7, Records), ReadConsole($"{TinyGuest.JournalText(7, Records)[^20..]}"));
    }

    [Fact]
    public void Lost_device_ends_the_vm()
    {
        IActorRef vm = Start(Options("workload=console"));
        ReadConsole("ready\n");
        Sys.ActorSelection(vm.Path / "console0").Tell(PoisonPill.Instance);
        VmProtocol.Ended ended = ExpectEnd();
        Assert.Equal(MachineEndReason.DeviceFailed, ended.Reason);
        Assert.Contains("console0", ended.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Two_machines_in_one_process_do_not_disturb_each_other()
    {
        // One console takes both outputs: each machine's bytes count for themselves.
        Start(Options("workload=compute rounds=40 seed=3"), "one");
        Start(Options("workload=compute rounds=40 seed=3"), "two");
        Assert.Equal([MachineEndReason.PowerOff, MachineEndReason.PowerOff], [ExpectEnd().Reason, ExpectEnd().Reason]);
        string expected = TinyGuest.ComputeText(3, 40);
        var texts = new Dictionary<string, string>();
        // The machines' ends may be here before the last of what their consoles forward.
        while (texts.Values.Sum(text => text.Length) < 2 * expected.Length && ConsoleDevice.ReceiveOne(Patience) is ConsoleOutput output)
        {
            string machine = ConsoleDevice.LastSender.Path.Parent.Name;
            texts[machine] = texts.GetValueOrDefault(machine, "") + Encoding.ASCII.GetString(output.Bytes.AsSpan());
        }
        Assert.False(ConsoleDevice.HasMessages);
        Assert.Equal((expected, expected), (texts["one"], texts["two"]));
    }

    [Fact]
    public void Guest_that_prints_faster_than_its_console_takes_waits_for_it()
    {
        IActorRef vm = Start(Options(EndlessCompute) with { CreateRunner = machine => new PrintingRunner(machine) });
        ulong printed = 0;
        for (ulong round = 1; round <= 3; round++)
        {
            while (printed < round * ConsoleBacklog.BytesMax)
            {
                ConsoleOutput output = ConsoleDevice.ExpectMsg<ConsoleOutput>(Patience);
                Assert.Equal(printed, output.StreamOffset);
                printed += (ulong)output.Bytes.Length;
            }
            ConsoleDevice.ExpectNoMsg(TimeSpan.FromMilliseconds(100));
            Assert.Equal(round * ConsoleBacklog.BytesMax, printed);
            SayFrom(vm, "console0", new DeviceNews { ConsoleTakenTo = printed });
        }
        vm.Tell(new MachineProtocol.Stop());
        Assert.Equal(MachineEndReason.Stopped, ExpectEnd().Reason);
    }

    /// <summary>Prints a mebibyte in each quantum.</summary>
    private sealed class PrintingRunner(GuestMachine machine) : IMachineRunner
    {
        private static readonly ImmutableArray<byte> Piece = [.. new byte[1 << 20]];
        private ulong printed;

        public GuestMachine Machine => machine;

        public MachineExit Run(ulong maxInstructions)
        {
            var output = new ConsoleOutput(machine.Icount, ConsoleKind.Serial, printed, Piece);
            printed += (ulong)Piece.Length;
            return new MachineExit(MachineExitReason.BudgetSpent, machine.Icount, null, [output]);
        }

        public void Inject(InputEvent input) => machine.Inject(input);
    }

    /// <summary>Hands over no output.</summary>
    private sealed class SilentObserver : IMachineObserver
    {
        public IReadOnlyList<DeviceLink> Devices { get; private set; } = [];

        public void Started(IActorRef machine, GuestMachine guest, IReadOnlyList<DeviceLink> devices) => Devices = devices;

        public void Heard(DeviceLink device, DeviceNews news)
        {
        }
    }

    private static ImmutableArray<byte> Execute(byte[] image, DiskRequest request)
    {
        int offset = (int)request.Sector * 512;
        if (request.Kind == DiskRequestKind.Write)
        {
            request.Data.CopyTo(image, offset);
        }
        return request.Kind == DiskRequestKind.Read ? [.. image.AsSpan(offset, (int)request.LengthBytes)] : [];
    }

    private static ConsoleInput Typed(string text) => new(ConsoleKind.Serial, [.. Encoding.ASCII.GetBytes(text)]);

    private void SayFrom(IActorRef vm, string device, object message) =>
        Sys.ActorSelection(vm.Path / device).Tell(new ForwardingDevice.Say(message));

    private ulong Icount(IActorRef vm)
    {
        IActorRef test = TestActor;
        vm.Tell(new MachineProtocol.Inspect(runner => test.Tell(runner.Machine.Icount)));
        return ExpectMsg<ulong>(Patience);
    }
}
