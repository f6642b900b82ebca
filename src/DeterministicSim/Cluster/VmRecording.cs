using System.Security.Cryptography;
using FtAkka.Cpu;
using FtAkka.Machine;
using FtAkka.Machine.Boot;
using FtAkka.Nodes;
using FtAkka.Recordings;
using FtAkka.Replication.Log;
using FtAkka.Replication.Snapshots;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>
/// The log of the VM over all its replicas, as one recording from power-on: where a survivor goes on, what it had not received of its
/// predecessor's log has never happened.
/// </summary>
internal sealed class VmRecording(VmProfile profile, ReadOnlyMemory<byte> kernel, ulong digestInterval)
{
    private readonly List<LogEntry> _entries = [];
    private readonly SortedSet<ulong> _copiedAt = [];

    /// <summary>A live replica has recorded entries.</summary>
    public void Recorded(IReadOnlyList<LogEntry> entries)
    {
        foreach (LogEntry entry in entries)
        {
            int known = (int)Math.Min((ulong)_entries.Count, entry.Lsn.Value - 1);
            _entries.RemoveRange(known, _entries.Count - known);
            _copiedAt.RemoveWhere(lsn => lsn > (ulong)known);
            _entries.Add(entry);
        }
    }

    /// <summary>The machine was copied behind this entry. The replicas' digests start anew there.</summary>
    public void Copied(ulong lsn) => _copiedAt.Add(lsn);

    /// <summary>Writes the recording to a folder of its own.</summary>
    /// <exception cref="RecordingException">It cannot be written.</exception>
    public void Write(string folder)
    {
        using var machine = new GuestMachine(profile.Machine, new VcpuOptions { CodeCacheBytes = 1 << 20 });
        if (machine.LoadLinux(kernel, default) is BootError error)
        {
            throw new RecordingException($"The machine of the recording cannot be built: {error.Message}");
        }
        using RecordingWriter writer = RecordingWriter.Create(folder, new RecordingManifest
        {
            Version = RecordingManifest.FormatVersion,
            // The same run gives the same files.
            Recording = new Guid(SHA256.HashData(kernel.Span)[..16]),
            Vm = profile.Name,
            Program = "ftakka sim",
            StartedAt = DateTimeOffset.FromUnixTimeSeconds(profile.BootUnixSeconds),
            CpuModel = profile.CpuModel,
            HostCpu = "the host of the simulation",
            Machine = profile.Machine,
            KernelSha256 = Convert.ToHexStringLower(SHA256.HashData(kernel.Span)),
            DigestEvery = digestInterval,
            KeyframeEvery = 0,
        }, RecordingSync.Never);
        if (profile.OnReboot == EndPolicy.Restart)
        {
            writer.WriteBootFiles(machine.BootFiles!);
        }
        writer.AddKeyframe(SnapshotCapture.Full(writer.Recording, machine, default));
        writer.Append(SelfContained());
        writer.Close();
    }

    /// <summary>
    /// A replay of the whole does not know of copies: the first digest behind one covers less than it would compute, and becomes a mark
    /// that digests start anew.
    /// </summary>
    private List<LogEntry> SelfContained()
    {
        var entries = new List<LogEntry>(_entries.Count);
        bool copied = false;
        foreach (LogEntry entry in _entries)
        {
            copied |= _copiedAt.Contains(entry.Lsn.Value - 1);
            bool replaced = copied && entry.Payload is DigestPayload;
            copied &= !replaced;
            entries.Add(replaced ? entry with { Payload = new CheckpointPayload() } : entry);
        }
        return entries;
    }
}
