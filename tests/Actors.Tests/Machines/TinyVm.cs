using System.Collections.Immutable;
using System.Text;
using Akka.Actor;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.TinyGuests;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Devices;

namespace FtAkka.Actors.Tests.Machines;

/// <summary>Speaks plainly: effects go to the device as they are, and the device answers with what the machine is to make of it.</summary>
internal sealed class PlainDialect : IDeviceDialect
{
    public object? Greeting => null;

    public object ToDevice(MachineEffect effect) => effect;

    public DeviceNews? ToMachine(object message) => message as DeviceNews;
}

/// <summary>A device that hands what it gets to the test, in whose name it answers: real machines, scripted devices.</summary>
internal sealed class ForwardingDevice : ReceiveActor
{
    public sealed record Say(object Message);

    public ForwardingDevice(IActorRef test)
    {
        IActorRef? machine = null;
        Receive<Say>(message => machine!.Tell(message.Message));
        ReceiveAny(message =>
        {
            machine = Sender;
            test.Forward(message);
        });
    }
}

/// <summary>Tests with tiny guests in real machines.</summary>
public abstract class TinyVm : TestKit
{
    /// <summary>Longer than a busy host can keep any thread of the test waiting.</summary>
    protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    protected TinyVm(string scheduler = "FtAkka.Actors.Scheduling.PreciseScheduler, FtAkka.Actors")
        : base($"""
            akka.scheduler.implementation = "{scheduler}"
            akka.test.default-timeout = 60s
            machine-dispatcher.type = "FtAkka.Actors.Scheduling.OwnThreadDispatcherConfigurator, FtAkka.Actors"
            """)
    {
        Observer = CreateTestProbe("observer");
        ConsoleDevice = CreateTestProbe("console");
        DiskDevice = CreateTestProbe("disk");
    }

    protected TestProbe Observer { get; }

    protected TestProbe ConsoleDevice { get; }

    protected TestProbe DiskDevice { get; }

    protected static MachineOptions Options(string commandLine, bool withDisk = false) => new()
    {
        Config = new MachineConfig
        {
            MemoryBytes = 16 << 20,
            CommandLine = commandLine,
            RngSeed = 1,
            Disks = withDisk ? [new BlockOptions { CapacitySectors = 2048 }] : [],
        },
        Kernel = TinyGuest.Kernel,
    };

    protected IActorRef Start(MachineOptions options, string? name = null)
    {
        ImmutableArray<DeviceDefinition>.Builder devices = ImmutableArray.CreateBuilder<DeviceDefinition>();
        devices.Add(Device(DeviceKind.Console, ConsoleDevice.Ref));
        if (options.Config.Disks.Length > 0)
        {
            devices.Add(Device(DeviceKind.Disk, DiskDevice.Ref));
        }
        return Sys.ActorOf(VmActor.Props(new VmDefinition
        {
            Name = name ?? "tiny",
            Machine = options,
            Devices = devices.ToImmutable(),
            Observers = [Observer.Ref],
        }), name);
    }

    protected VmProtocol.Ended ExpectEnd() => Observer.FishForMessage<VmProtocol.Ended>(_ => true, Patience);

    /// <summary>Console output from now on until it ends with <paramref name="end"/>.</summary>
    protected string ReadConsole(string end)
    {
        var text = new StringBuilder();
        while (!text.ToString().EndsWith(end, StringComparison.Ordinal))
        {
            text.Append(Encoding.ASCII.GetString(ConsoleDevice.ExpectMsg<ConsoleOutput>(Patience).Bytes.AsSpan()));
        }
        return text.ToString();
    }

    private static DeviceDefinition Device(DeviceKind kind, IActorRef test) =>
        new(kind, 0, Props.Create(() => new ForwardingDevice(test)), new PlainDialect());
}
