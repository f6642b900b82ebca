using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using FtAkka.Actors.Recordings;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Net;
using FtAkka.Replication.Log;
using FtAkka.VmmHost.GuestKit;
using Xunit.Abstractions;

namespace FtAkka.VmmHost.Tests.Recordings;

/// <summary>A Debian boot with a session of console input, disk and network, recorded and replayed: from the start, from keyframes, with random stops.</summary>
public sealed class LinuxRecordingTests(ITestOutputHelper output)
{
    private const string Session =
        "dd if=/dev/vda bs=4k count=64 2>/dev/null | sha256sum; dd if=/dev/urandom of=/dev/vda bs=4k count=16 seek=100 conv=fsync 2>&1; "
        + "ping -c 3 -i 0.2 10.0.0.1; echo typed-text-please; read line; echo heard $line; cat /proc/interrupts";

    private static readonly byte[] PeerMac = [2, 0, 0, 0, 0, 2];

    [LinuxFact]
    public void Session_replays_as_it_was()
    {
        bool whole = Environment.GetEnvironmentVariable("FTAKKA_LONG_TESTS") == "1";
        using var folder = new TemporaryFolder(Path.GetTempPath());
        string printed = Record(folder.Path + "/r");
        Assert.Contains("heard what was typed", printed, StringComparison.Ordinal);
        Assert.Contains("3 packets received", printed, StringComparison.Ordinal);

        RecordingReader recording = RecordingReader.Open(folder.Path + "/r");
        List<LogEntry> entries = TinyRecording.Entries(recording);
        Assert.True(entries.Count(entry => entry.Payload is InputPayload { Input: NetReceive }) >= 4);
        Assert.True(entries.Count(entry => entry.Payload is InputPayload { Input: DiskCompleted }) >= 4);
        output.WriteLine($"{entries[^1].Icount} instructions, {entries.Count} entries, {new FileInfo(recording.LogPath).Length} bytes of log, {recording.Keyframes.Count} keyframes");

        (string, ulong, ulong) first = Replay(recording, recording.Keyframes[0], null);
        Assert.Equal(printed, first.Item1);
        for (int seed = 1; seed <= (whole ? 10 : 1); seed++)
        {
            Assert.Equal(first, Replay(recording, recording.Keyframes[0], seed));
        }
        foreach (Keyframe keyframe in recording.Keyframes.Skip(1).Where((_, number) => whole || number % 3 == 0))
        {
            (string part, ulong icount, ulong memory) = Replay(recording, keyframe, null);
            Assert.EndsWith(part, printed, StringComparison.Ordinal);
            Assert.Equal((first.Item2, first.Item3), (icount, memory));
        }
    }

    private (string Console, ulong Icount, ulong Memory) Replay(RecordingReader recording, Keyframe start, int? stopsSeed)
    {
        var replayed = TinyRecording.Replay(recording, start, stopsSeed, stopsWithin: 2_000_000);
        Assert.True(replayed.Player.Divergence is null, $"from {start.Icount}, stops {stopsSeed}: {replayed.Player.Divergence}");
        output.WriteLine($"from {start.Icount}: {replayed.Player.DigestsChecked} digests equal");
        return (replayed.Console, replayed.Icount, replayed.FullMemory);
    }

    private static string Record(string folder)
    {
        var config = new MachineConfig
        {
            MemoryBytes = 256 << 20,
            CommandLine = "console=ttyS0 reboot=t panic=-1 cryptomgr.notests ftakka.ip=10.0.0.2/24 ftakka.run64="
                + Convert.ToBase64String(Encoding.ASCII.GetBytes(Session)),
            BootUnixSeconds = 1_700_000_000,
            Disks = [new BlockOptions { CapacitySectors = 8192 }],
            Nics = [new NetOptions { Mac = TinyRecording.GuestMac }],
        };
        using var machine = new GuestMachine(config);
        Assert.Null(machine.LoadLinux(
            File.ReadAllBytes(GuestFolder.Default.PreferredKernel!), File.ReadAllBytes(GuestFolder.Default.Initramfs())));
        using RecordingWriter writer = RecordingWriter.Create(folder, TinyRecording.Manifest(config), RecordingSync.Never);
        using var runner = new RecordingRunner(machine, writer, digestEvery: 50_000_000, keyframeEvery: 300_000_000);
        var world = new GuestWorld(runner, 1)
        {
            Disk = [.. Enumerable.Range(0, 8192 * 512).Select(i => (byte)(i * 31 >> 7))],
            Peer = Answer,
            Script = new Queue<(string, string)>([("typed-text-please", "what was typed\n")]),
            QuantumMax = 1_000_000,
            IcountMax = 6_000_000_000,
        };
        MachineExitReason end = world.Run();
        runner.Finish();
        writer.Close();
        Assert.True(end == MachineExitReason.PowerOff, $"{end} at {machine.Icount}: {world.Console}");
        return world.Console;
    }

    /// <summary>Answers ARP requests (RFC 826) and pings (RFC 792) as 10.0.0.1.</summary>
    private static byte[]? Answer(ImmutableArray<byte> frame)
    {
        byte[] answer = [.. frame];
        frame.AsSpan().Slice(6, 6).CopyTo(answer);
        PeerMac.CopyTo(answer, 6);
        ushort type = BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan()[12..]);
        if (type == 0x0806 && frame[21] == 1)
        {
            answer[21] = 2;
            frame.AsSpan().Slice(22, 10).CopyTo(answer.AsSpan(32));
            PeerMac.CopyTo(answer, 22);
            frame.AsSpan().Slice(38, 4).CopyTo(answer.AsSpan(28));
            return answer;
        }
        if (type == 0x0800 && frame[23] == 1 && frame[34] == 8)
        {
            frame.AsSpan().Slice(26, 4).CopyTo(answer.AsSpan(30));
            frame.AsSpan().Slice(30, 4).CopyTo(answer.AsSpan(26));
            answer[34] = 0;
            // The type is part of the checksum: eight less in the first word, eight more in the sum.
            uint sum = BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(36)) + 0x0800u;
            BinaryPrimitives.WriteUInt16BigEndian(answer.AsSpan(36), (ushort)(sum + (sum >> 16)));
            return answer;
        }
        return null;
    }
}
