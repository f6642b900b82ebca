using System.Collections.Immutable;
using System.Text;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Net;

namespace FtAkka.TinyGuests.Tests;

/// <summary>What the demanding guest asks of its disk and says about it is what its reference makes of the inputs that it tells.</summary>
public sealed class TinyDemandingTests
{
    private const int Sectors = 2048;
    private const int Rounds = 150;
    private const ulong InstructionsMax = 400_000_000;

    private static readonly ImmutableArray<byte> GuestMac = [2, 0, 0, 0, 0, 1];
    private static readonly byte[] HostMac = [2, 0, 0, 0, 0, 2];

    private readonly byte[] disk = new byte[Sectors * 512];
    private readonly Queue<DiskRequest> waiting = [];
    private readonly List<DiskRequest> asked = [];
    private readonly Dictionary<ulong, ulong> sums = [];
    private readonly HashSet<ulong> failed = [];
    private readonly HashSet<ulong> told = [];
    private readonly HashSet<ulong> answered = [];
    private readonly List<ulong> states = [];
    private readonly StringBuilder console = new();
    private readonly List<byte[]> expected = [];
    private int answers;

    [Theory]
    [InlineData(1, 1_000_000_000, true)]
    [InlineData(2, 997, true)]
    [InlineData(3, 1_000_000_000, false)]
    public void Reference_follows_the_guest(ulong seed, ulong slice, bool nic)
    {
        Run(seed, slice, nic);

        string[] lines = console.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(DemandingReference.FirstLine, lines[0]);
        Assert.Equal(Rounds + 1, lines.Length);
        var reference = new DemandingReference(seed, Sectors);
        int id = 0, together = 0, overlapping = 0;
        foreach (string line in lines[1..])
        {
            Assert.Null(reference.Take(line, served => served < states.Count ? states[(int)served] : null, out DemandedRound? round));
            foreach (DemandedRequest expected in round!.Requests)
            {
                DiskRequest request = asked[id];
                Assert.Equal((expected.Kind.ToString(), expected.Sector, (ulong)expected.Sectors * 512), (request.Kind.ToString(), request.Sector, request.LengthBytes));
                int place = round.Requests.IndexOf(expected);
                Assert.Equal(failed.Contains(request.Id), ((round.Failed >> place) & 1) == 1);
                Assert.Equal(sums.GetValueOrDefault(request.Id), round.Sums[place]);
                AssertContent(expected, request);
                overlapping += round.Requests.Take(place).Count(other => other.Changes && Overlap(other, expected));
                id++;
            }
            together = Math.Max(together, round.Requests.Length);
            Assert.Equal(nic, told.Contains(round.Hash));
        }
        Assert.Equal(asked.Count, id);
        Assert.Equal(8, together);
        Assert.True(overlapping > 5);
        Assert.Contains(asked, request => request.LengthBytes > 128 << 10);
        Assert.Equal(4, asked.Select(request => request.Kind).Distinct().Count());
        Assert.Equal(nic, answers > 20);
    }

    [Fact]
    public void Line_that_was_changed_is_not_taken()
    {
        Run(7, 1_000_000_000, nic: false);

        string[] lines = console.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        for (int place = 2; place < lines[1].Length; place += 5)
        {
            char other = lines[1][place] == '1' ? '2' : '1';
            Assert.NotNull(new DemandingReference(7, Sectors).Take(lines[1][..place] + other + lines[1][(place + 1)..], _ => states[0], out _));
        }
        Assert.NotNull(new DemandingReference(7, Sectors).Take(lines[2], _ => states[0], out _));
        Assert.NotNull(new DemandingReference(8, Sectors).Take(lines[1], _ => states[0], out _));
    }

    [Fact]
    public void Disk_that_is_too_small_is_told_of()
    {
        using GuestMachine machine = Create("workload=demanding", 511, nic: false);
        var driver = new TinyGuestDriver(machine, disk, _ => null);
        Assert.Equal(MachineExitReason.Reset, driver.Run(1_000_000_000));
        Assert.Equal("disk too small\n", driver.Console);
    }

    private void Run(ulong seed, ulong slice, bool nic)
    {
        using GuestMachine machine = Create($"workload=demanding rounds={Rounds} seed={seed}", Sectors, nic);
        var echo = new EchoReference(GuestMac.ToArray());
        states.Add(echo.State);
        ulong sequence = 0;
        byte[] last = [];
        while (machine.Icount < InstructionsMax)
        {
            MachineExit exit = machine.Run(slice);
            foreach (MachineEffect effect in exit.Effects)
            {
                Perform(effect);
            }
            Assert.NotEqual(MachineExitReason.Reset, exit.Reason);
            if (exit.Reason == MachineExitReason.PowerOff)
            {
                return;
            }
            if (exit.Reason != MachineExitReason.Idle)
            {
                continue;
            }
            if (nic && (waiting.Count + asked.Count) % 3 == 0 && answers == (int)sequence)
            {
                byte[] request = EchoFrame.Request(GuestMac.AsSpan(), HostMac, ++sequence, [(byte)sequence, 3]);
                expected.Add(echo.Answer(request)!);
                states.Add(echo.State);
                machine.Inject(new NetReceive(0, [.. request]));
                last = request;
            }
            else if (last.Length > 0 && asked.Count % 5 == 1)
            {
                // A client that has not got its answer asks again, and gets the same, whatever the guest has sent since.
                machine.Inject(new NetReceive(0, [.. last]));
                last = [];
            }
            if (waiting.TryDequeue(out DiskRequest? next))
            {
                machine.Inject(new DiskCompleted(0, Serve(next)));
            }
            else if (exit.NextTimerTsc is { } timer)
            {
                machine.Inject(new ClockAdvance(timer));
            }
        }
        Assert.Fail("The guest does not come to an end.");
    }

    private void Perform(MachineEffect effect)
    {
        switch (effect)
        {
            case ConsoleOutput output:
                console.Append(Encoding.ASCII.GetString(output.Bytes.AsSpan()));
                break;
            case DiskRequested request:
                asked.Add(request.Request);
                waiting.Enqueue(request.Request);
                break;
            case NetTransmit sent:
                foreach (ImmutableArray<byte> frame in sent.Frames)
                {
                    if (DemandingReference.HashOf(frame.AsSpan()) is { } hash)
                    {
                        told.Add(hash);
                        continue;
                    }
                    Assert.Contains(expected, answer => frame.AsSpan().SequenceEqual(answer));
                    answers += answered.Add(BitConverter.ToUInt64(frame.AsSpan(18, 8))) ? 1 : 0;
                }
                break;
            default:
                break;
        }
    }

    private DiskCompletion Serve(DiskRequest request)
    {
        if (request.Id % 29 == 28)
        {
            failed.Add(request.Id);
            return new DiskCompletion(request.Id, DiskStatus.IoError, []);
        }
        DiskCompletion completion = TinyGuestDriver.Serve(request, disk);
        if (request.Kind == DiskRequestKind.Read)
        {
            ulong sum = 0;
            for (int sector = 0; sector < completion.Data.Length; sector += 512)
            {
                sum = DemandingReference.Sum(sum, Word(completion.Data, sector), Word(completion.Data, sector + 504));
            }
            sums[request.Id] = sum;
        }
        return completion;
    }

    private static void AssertContent(DemandedRequest expected, DiskRequest request)
    {
        for (int i = 0; i < expected.Sectors && expected.Kind == DemandedKind.Write; i++)
        {
            Assert.Equal(expected.Words(expected.Sector + (ulong)i), (Word(request.Data, i * 512), Word(request.Data, (i * 512) + 504)));
        }
    }

    private static bool Overlap(DemandedRequest one, DemandedRequest other) =>
        one.Sector < other.Sector + (ulong)other.Sectors && other.Sector < one.Sector + (ulong)one.Sectors;

    private static ulong Word(ImmutableArray<byte> bytes, int offset) => BitConverter.ToUInt64(bytes.AsSpan(offset, 8));

    private static GuestMachine Create(string commandLine, ulong sectors, bool nic)
    {
        var machine = new GuestMachine(new MachineConfig
        {
            MemoryBytes = 4 << 20,
            CommandLine = commandLine,
            RngSeed = 5,
            Disks = [new BlockOptions { CapacitySectors = sectors }],
            Nics = nic ? [new NetOptions { Mac = GuestMac }] : [],
        });
        Assert.Null(machine.LoadLinux(TinyGuest.Kernel, default));
        return machine;
    }
}
