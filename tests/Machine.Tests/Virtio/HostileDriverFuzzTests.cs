using FtAkka.Machine.Virtio;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Console;
using FtAkka.Machine.Virtio.Net;
using FtAkka.Machine.Virtio.Queues;
using FtAkka.Machine.Virtio.Rng;
using Xunit.Abstractions;

namespace FtAkka.Machine.Tests.Virtio;

/// <summary>
/// A driver that writes whatever it likes. Oracles: no exception; no access outside RAM is even tried; the same seed gives the same
/// memory, snapshot and effects; and a device that was moved by snapshot in the middle goes on like one that was not.
/// FTAKKA_FUZZ_ROUNDS sets the number of rounds per device (default 150, 3,600 steps), FTAKKA_FUZZ_SEED the first seed.
/// </summary>
public sealed class HostileDriverFuzzTests(ITestOutputHelper output)
{
    private const int RamBytes = 256 * 1024;
    private const int StepsPerRound = 24;

    private static readonly int Rounds = int.Parse(Environment.GetEnvironmentVariable("FTAKKA_FUZZ_ROUNDS") ?? "150");
    private static readonly int FirstSeed = int.Parse(Environment.GetEnvironmentVariable("FTAKKA_FUZZ_SEED") ?? "1");

    private sealed class Run
    {
        private readonly string kind;
        private readonly RecordingSinks sinks = new();
        private readonly TestRam ram = new(RamBytes);
        private readonly Random random;
        private readonly bool moves;
        private readonly DriverHarness driver;

        public Run(string kind, int seed, bool moves)
        {
            this.kind = kind;
            this.moves = moves;
            random = new Random(seed);
            driver = new DriverHarness(Create, ram);
        }

        public int Faults { get; private set; }

        public int Used { get; private set; }

        public byte[] Memory => ram.Copy();

        public byte[] State => driver.Snapshot();

        public int Refused => ram.RefusedAccesses;

        public string Effects => string.Join(';',
            sinks.Requests.Select(r => $"{r.Id} {r.Kind} {r.Sector} {r.LengthBytes} {Convert.ToHexString(r.Data.AsSpan())}")
                .Concat(sinks.Batches.SelectMany(b => b).Select(f => Convert.ToHexString(f.AsSpan())))
                .Append(Convert.ToHexString(sinks.ConsoleBytes.ToArray())));

        private VirtioModel Create() => kind switch
        {
            "blk" => new VirtioBlkDevice(new BlockOptions { CapacitySectors = 64, QueueSize = 16, QueueCount = 2, InFlightBytesMax = 65536 }, sinks),
            "net" => new VirtioNetDevice(new NetOptions { Mac = [2, 0, 0, 0, 0, 1], QueueSize = 16, HeldFramesMax = 3, Segmentation = true }, sinks),
            "rng" => new VirtioRngDevice(ChaChaGenerator.FromSeed(3)),
            _ => new VirtioConsoleDevice(sinks),
        };

        public void Execute()
        {
            random.NextBytes(ram.Span(0, RamBytes));
            for (int step = 0; step < StepsPerRound; step++)
            {
                if (!driver.Device.IsLive)
                {
                    ulong features = random.Next(4) == 0 ? driver.OfferedFeatures() & (ulong)random.NextInt64() : driver.OfferedFeatures();
                    driver.Start(features | VirtioFeatures.Version1, queueSize: (ushort)(1 << random.Next(1, 5)));
                }
                Step();
                Faults += (driver.Device.Status & VirtioStatus.DeviceNeedsReset) != 0 ? 1 : 0;
                bool move = random.Next(8) == 0;   // drawn in both runs, so that they stay alike
                if (move && moves)
                {
                    driver.MoveTo(Create);
                }
            }
        }

        private void Step()
        {
            int index = random.Next(driver.Queues.Length);
            DriverQueue queue = driver.Queues[index];
            switch (random.Next(10))
            {
                case 0:
                    Deliver();
                    break;
                case 1:
                    driver.Device.MmioWrite((ulong)random.Next(0x120), 1 << random.Next(4), (ulong)random.NextInt64());
                    break;
                case 2:
                    random.NextBytes(ram.Span(queue.DescriptorTable, (int)(queue.DeviceArea - queue.DescriptorTable)));
                    driver.Notify(index);
                    break;
                default:
                    Scribble(queue);
                    ushort before = queue.UsedIndex;
                    driver.Notify(index);
                    Used += (ushort)(queue.UsedIndex - before);
                    break;
            }
        }

        /// <summary>Descriptors that are wrong in few places, so that most of the checks are reached.</summary>
        private void Scribble(DriverQueue queue)
        {
            for (ushort i = 0; i < queue.Size; i++)
            {
                queue.WriteDescriptor(i, RandomDescriptor(queue.Size));
            }
            for (ulong table = 0x2_0000; table < 0x2_0400; table += 16)
            {
                RandomDescriptor(8).Encode(ram.Span(table, 16));
            }
            int heads = random.Next(1, 4);
            for (int i = 0; i < heads; i++)
            {
                queue.Publish((ushort)random.Next(random.Next(16) == 0 ? 0x1_0000 : queue.Size));
            }
            // A request header of the block device where many buffers start.
            ram.Span(0x2_4000, 16).Clear();
            ram.Span(0x2_4000, 1)[0] = (byte)random.Next(15);
            ram.Span(0x2_4008, 1)[0] = (byte)random.Next(70);
        }

        private Descriptor RandomDescriptor(int tableSize)
        {
            ulong address = random.Next(12) switch
            {
                0 => (ulong)random.NextInt64(),
                1 => RamBytes - (ulong)random.Next(64),
                2 => 0x2_0000,                                // the indirect tables
                3 => DriverHarness.RingBase,                  // the rings themselves
                4 or 5 or 6 => 0x2_4000,
                _ => (ulong)random.Next(RamBytes),
            };
            uint length = random.Next(10) switch
            {
                0 => 0,
                1 => (uint)random.Next(),
                2 => uint.MaxValue,
                3 => (uint)(512 * random.Next(1, 5)),
                4 or 5 => 16,
                6 => 1,
                _ => (uint)random.Next(1, 2000),
            };
            int flags = random.Next(12) switch
            {
                0 => random.Next(8),
                1 => Descriptor.FlagIndirect,
                2 or 3 => 0,
                4 or 5 or 6 => Descriptor.FlagNext,
                7 => Descriptor.FlagNext | Descriptor.FlagWrite,
                _ => Descriptor.FlagWrite,
            };
            return new Descriptor(address, length, (ushort)flags, (ushort)random.Next(random.Next(20) == 0 ? 0x1_0000 : tableSize));
        }

        private void Deliver()
        {
            byte[] bytes = new byte[random.Next(1, 2000)];
            random.NextBytes(bytes);
            switch (driver.Device.Model)
            {
                case VirtioBlkDevice blk:
                    DiskRequest? request = blk.Outstanding.FirstOrDefault();
                    ulong id = request?.Id ?? (ulong)random.Next(5);
                    int length = (int)(request is { Kind: DiskRequestKind.Read } ? request.LengthBytes : 0);
                    blk.Complete(new DiskCompletion(id, (DiskStatus)random.Next(3), [.. new byte[length]]));
                    break;
                case VirtioNetDevice net:
                    net.Receive(bytes);
                    break;
                case VirtioConsoleDevice console:
                    console.Input(bytes);
                    break;
                default:
                    break;
            }
        }
    }

    [Theory]
    [InlineData("blk")]
    [InlineData("net")]
    [InlineData("rng")]
    [InlineData("console")]
    public void Random_rings_never_throw_never_leave_ram_and_never_diverge(string kind)
    {
        int faults = 0;
        int used = 0;
        for (int seed = FirstSeed; seed < FirstSeed + Rounds; seed++)
        {
            try
            {
                var plain = new Run(kind, seed, moves: false);
                var moved = new Run(kind, seed, moves: true);
                plain.Execute();
                moved.Execute();
                Assert.Equal(0, plain.Refused);
                Assert.True(plain.Memory.AsSpan().SequenceEqual(moved.Memory), "memory differs after a move by snapshot");
                Assert.True(plain.State.AsSpan().SequenceEqual(moved.State), "state differs after a move by snapshot");
                Assert.Equal(plain.Effects, moved.Effects);
                faults += plain.Faults;
                used += plain.Used;
            }
            catch (Exception)
            {
                output.WriteLine($"Failing: device {kind}, seed {seed}. Again: FTAKKA_FUZZ_SEED={seed} FTAKKA_FUZZ_ROUNDS=1 dotnet test --filter {nameof(HostileDriverFuzzTests)}");
                throw;
            }
        }
        output.WriteLine($"{kind}: seeds {FirstSeed} to {FirstSeed + Rounds - 1}, {Rounds * StepsPerRound} steps, {faults} faults, {used} buffers used");
        // A fuzz run that only ever fails, or never does, tests nothing.
        Assert.True(Rounds < 100 || (faults > Rounds && used > Rounds / 2), $"faults {faults}, used {used} in {Rounds} rounds");
    }
}
