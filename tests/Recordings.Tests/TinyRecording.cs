using System.Collections.Immutable;
using FtAkka.Cpu;
using FtAkka.Cpu.Architecture;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Net;
using FtAkka.Replication.Log;
using FtAkka.Replication.Replay;
using FtAkka.TinyGuests;

namespace FtAkka.Recordings.Tests;

/// <summary>Records the tiny guest, and replays recordings.</summary>
internal static class TinyRecording
{
    public const ulong DigestEvery = 50_000;
    public const ulong KeyframeEvery = 150_000;

    public static readonly ImmutableArray<byte> GuestMac = [2, 0, 0, 0, 0, 1];
    private static readonly byte[] HostMac = [2, 0, 0, 0, 0, 2];

    /// <summary>A session with everything: console input, disk, network, timer, all instructions of the compute workload.</summary>
    public const string Everything = "workload=all count=6 rounds=2 records=6 requests=8";

    /// <summary>Records a session into a folder. Returns what the guest printed.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="commandLine">What the guest does.</param>
    /// <param name="seed">Decides the world around it.</param>
    /// <param name="tamper">Done to the machine on the way, and not recorded.</param>
    /// <param name="entropy">Whether it has an entropy device.</param>
    /// <param name="onEnd">What follows when it reboots or crashes.</param>
    /// <param name="keyframeEvery">Instructions between keyframes.</param>
    public static string Record(
        string folder, string commandLine = Everything, int seed = 1, Action<GuestMachine>? tamper = null, bool entropy = true,
        EndPolicy onEnd = EndPolicy.Stop, ulong keyframeEvery = KeyframeEvery)
    {
        var config = new MachineConfig
        {
            MemoryBytes = 16 << 20,
            CommandLine = commandLine,
            Disks = [new BlockOptions { CapacitySectors = 256 }],
            Nics = [new NetOptions { Mac = GuestMac }],
            Entropy = entropy,
            OnReboot = onEnd,
            OnCrash = onEnd,
        };
        using var machine = new GuestMachine(config);
        Assert.Null(machine.LoadLinux(TinyGuest.Kernel, default));
        using RecordingWriter writer = RecordingWriter.Create(folder, Manifest(config), RecordingSync.Never);
        using var runner = new RecordingRunner(machine, writer, DigestEvery, keyframeEvery);
        var world = new GuestWorld(runner, seed)
        {
            Disk = new byte[256 * 512],
            QuantumMax = 20_000,
            Tampering = tamper is null ? null : (120_000, tamper),
            Script = new Queue<(string, string)>([("console ready", "Hello, World 1\n\u0004")]),
        };
        Live(world, machine);
        runner.Finish();
        writer.Close();
        return world.Console;
    }

    public static RecordingManifest Manifest(MachineConfig config) => new()
    {
        Version = RecordingManifest.FormatVersion,
        Recording = Guid.NewGuid(),
        Vm = "tiny",
        Program = "tests",
        StartedAt = DateTimeOffset.UnixEpoch,
        CpuModel = CpuModel.V1Name,
        HostCpu = "any",
        Machine = config,
        KernelSha256 = "",
        DigestEvery = DigestEvery,
        KeyframeEvery = KeyframeEvery,
    };

    /// <summary>Replays from a keyframe to the end. Returns the console's bytes.</summary>
    public static (string Console, MachinePlayer Player, ulong Icount, ulong FullMemory) Replay(
        RecordingReader recording, Keyframe start, int? stopsSeed = null, int stopsWithin = 5000, ulong flagNoise = 0)
    {
        using var replay = new RecordingReplay(recording, start, new VcpuOptions { FlagNoiseSeed = flagNoise });
        var console = new List<byte>();
        var random = new Random(stopsSeed ?? 0);
        while (true)
        {
            PlayerExit exit = replay.Run(stopsSeed is null ? 1_000_000_000 : (ulong)random.Next(1, stopsWithin));
            foreach (ConsoleOutput output in exit.Effects.OfType<ConsoleOutput>())
            {
                console.AddRange(output.Bytes);
            }
            if (stopsSeed is not null && random.Next(50) == 0)
            {
                replay.Machine.Vcpu!.DropCaches();
            }
            if (exit.Stop != PlayerStop.BudgetSpent)
            {
                return (System.Text.Encoding.ASCII.GetString([.. console]), replay.Player, replay.Machine.Icount, replay.Machine.ComputeFullDigest().Memory);
            }
        }
    }

    /// <summary>All entries of a log.</summary>
    public static List<LogEntry> Entries(RecordingReader recording)
    {
        using LogFileReader log = recording.OpenLog();
        var entries = new List<LogEntry>();
        while (log.Read() is { } entry)
        {
            entries.Add(entry);
        }
        return entries;
    }

    /// <summary>A copy of a recording in whose manifest a text is another.</summary>
    public static RecordingReader CopyWith(string from, string to, string manifestText, string instead)
    {
        Copy(from, to);
        string file = Path.Combine(to, "manifest.json");
        string manifest = File.ReadAllText(file);
        Assert.Contains(manifestText, manifest, StringComparison.Ordinal);
        File.WriteAllText(file, manifest.Replace(manifestText, instead, StringComparison.Ordinal));
        return RecordingReader.Open(to);
    }

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string file in Directory.GetFiles(from))
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }
    }

    /// <summary>A copy of a recording whose log has other entries.</summary>
    public static RecordingReader CopyWith(RecordingReader recording, string from, string to, IReadOnlyList<LogEntry> entries)
    {
        Copy(from, to);
        using (FileStream log = File.Create(Path.Combine(to, "log.ftlog")))
        {
            log.Write(new LogFileHeader(recording.Manifest.Recording).Write());
            foreach (ReadOnlyMemory<byte> frame in LogFrame.WriteAll(entries))
            {
                log.Write(frame.Span);
            }
        }
        File.Delete(Path.Combine(to, "log.ftindex"));
        return RecordingReader.Open(to);
    }

    /// <summary>Writes a log whose frames hold one entry each, with an index record for each third of them. Returns where the frames begin.</summary>
    public static List<long> WriteSingly(RecordingReader recording, IReadOnlyList<LogEntry> entries)
    {
        var offsets = new List<long>();
        using FileStream log = File.Create(recording.LogPath);
        using FileStream index = File.Create(Path.ChangeExtension(recording.LogPath, ".ftindex"));
        log.Write(new LogFileHeader(recording.Manifest.Recording).Write());
        byte[] record = new byte[LogIndexRecord.SizeBytes];
        foreach (LogEntry entry in entries)
        {
            byte[] frame = LogFrame.Write([entry]);
            if (offsets.Count % 3 == 0)
            {
                LogFrame.IndexRecordOf(frame, log.Position).Write(record);
                index.Write(record);
            }
            offsets.Add(log.Position);
            log.Write(frame);
        }
        return offsets;
    }

    private static void Live(GuestWorld world, GuestMachine machine)
    {
        ulong sequence = 0;
        while (true)
        {
            MachineExitReason reason = world.Run();
            if (reason != MachineExitReason.Idle || sequence == 8)
            {
                Assert.True(reason is MachineExitReason.PowerOff, $"{reason} at {machine.Icount}: {world.Console}");
                return;
            }
            sequence++;
            world.Send(EchoFrame.Request(GuestMac.AsSpan(), HostMac, sequence, [.. Enumerable.Range(0, (int)sequence * 100).Select(i => (byte)i)]));
        }
    }

    /// <summary>A stretch of so many instructions, and a word of RAM that has another value at its end.</summary>
    public static (ulong From, ulong Word) FindWordThatChanges(RecordingReader recording, ulong length)
    {
        using var traveller = new TimeTraveller(recording);
        for (ulong from = 20_000; ; from += 10_000)
        {
            if (WordThatChanges(traveller, from, from + length) is { } word)
            {
                return (from, word);
            }
        }
    }

    private static ulong? WordThatChanges(TimeTraveller traveller, ulong from, ulong to)
    {
        traveller.Seek(from);
        int pages = traveller.Machine.Memory.PageCount;
        byte[][] before = [.. Enumerable.Range(0, pages).Select(page => traveller.Machine.Memory.Page(page).ToArray())];
        traveller.Seek(to);
        int changed = Enumerable.Range(0, pages).FirstOrDefault(page => !traveller.Machine.Memory.Page(page).SequenceEqual(before[page]), -1);
        if (changed < 0)
        {
            return null;
        }
        int offset = traveller.Machine.Memory.Page(changed).CommonPrefixLength(before[changed]);
        return traveller.Machine.Memory.PhysicalAddressOf(changed) + ((ulong)offset & ~7UL);
    }
}
