using FtAkka.Cpu;
using FtAkka.Cpu.Memory;
using FtAkka.Machine;
using FtAkka.Machine.Boot;
using FtAkka.Machine.Snapshots;
using FtAkka.Replication.Log;
using FtAkka.Replication.Replay;
using FtAkka.Replication.Snapshots;

namespace FtAkka.Recordings;

/// <summary>A snapshot of a recording.</summary>
/// <param name="Path">Its file.</param>
/// <param name="Header">What the file's header says.</param>
public sealed record Keyframe(string Path, SnapshotHeader Header)
{
    /// <summary>Instructions retired.</summary>
    public ulong Icount => Header.Icount;
}

/// <summary>A difference between a machine and a keyframe.</summary>
/// <param name="StateDiffers">CPU or devices differ.</param>
/// <param name="Pages">RAM pages that differ, by index.</param>
/// <param name="State">CPU and devices as the keyframe has them.</param>
public sealed record KeyframeComparison(bool StateDiffers, IReadOnlyList<int> Pages, ReadOnlyMemory<byte> State)
{
    /// <summary>Whether machine and keyframe are the same.</summary>
    public bool IsEqual => !StateDiffers && Pages.Count == 0;
}

/// <summary>Reads a recording's folder.</summary>
public sealed class RecordingReader
{
    private const long ManifestBytesMax = 1 << 20;

    private readonly string folder;
    private readonly Lazy<BootFiles?> bootFiles;

    private RecordingReader(string folder, RecordingManifest manifest, IReadOnlyList<Keyframe> keyframes, IReadOnlyList<string> problems)
    {
        this.folder = folder;
        bootFiles = new Lazy<BootFiles?>(ReadBootFiles);
        Manifest = manifest;
        Keyframes = keyframes;
        Problems = problems;
    }

    /// <summary>What the recording is of.</summary>
    public RecordingManifest Manifest { get; }

    /// <summary>Its snapshots whose whole chain is there, by icount; the first is the start of the recording.</summary>
    public IReadOnlyList<Keyframe> Keyframes { get; }

    /// <summary>Files that cannot be used, for people.</summary>
    public IReadOnlyList<string> Problems { get; }

    /// <summary>Path of the log file.</summary>
    public string LogPath => Path.Combine(folder, RecordingFiles.Log);

    /// <summary>Opens a recording.</summary>
    /// <exception cref="RecordingException">It is none, or nothing of it can be used.</exception>
    public static RecordingReader Open(string folder)
    {
        string manifestFile = Path.Combine(folder, RecordingFiles.Manifest);
        try
        {
            if (!File.Exists(manifestFile))
            {
                throw new RecordingException($"{folder} holds no recording: there is no {RecordingFiles.Manifest} in it.");
            }
            if (new FileInfo(manifestFile).Length > ManifestBytesMax)
            {
                throw new RecordingException($"{manifestFile}: this is not the manifest of a recording: it is longer than {ManifestBytesMax} bytes.");
            }
            RecordingManifest manifest = RecordingManifest.FromJson(File.ReadAllText(manifestFile), manifestFile);
            var problems = new List<string>();
            List<Keyframe> keyframes = FindKeyframes(folder, manifest, problems);
            return keyframes.Count == 0
                ? throw new RecordingException(string.Join(" ", [$"{folder}: there is no snapshot to start from.", .. problems]))
                : new RecordingReader(folder, manifest, keyframes, problems);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new RecordingException($"The recording in {folder} cannot be read: {refused.Message}", refused);
        }
    }

    /// <summary>Opens the log.</summary>
    /// <exception cref="RecordingException">It cannot be opened.</exception>
    public LogFileReader OpenLog() => LogFileReader.Open(LogPath, Path.Combine(folder, RecordingFiles.Index), Manifest.Recording);

    /// <summary>The last keyframe at or before <paramref name="icount"/>; the first of all if there is none.</summary>
    public Keyframe KeyframeFor(ulong icount) => Keyframes.LastOrDefault(keyframe => keyframe.Icount <= icount) ?? Keyframes[0];

    /// <summary>Builds the recording's machine, without content, with the recording's CPU semantics whatever <paramref name="options"/> say.</summary>
    /// <exception cref="RecordingException">The host refuses.</exception>
    public GuestMachine CreateMachine(VcpuOptions? options = null)
    {
        try
        {
            return new GuestMachine(Manifest.Machine, (options ?? new VcpuOptions()) with { Semantics = Manifest.Semantics });
        }
        catch (Exception refused) when (refused is InvalidOperationException or ArgumentException or System.ComponentModel.Win32Exception)
        {
            throw new RecordingException($"The recording's machine cannot be built here: {refused.Message}", refused);
        }
    }

    /// <summary>Sets a machine of this recording to a keyframe.</summary>
    /// <exception cref="RecordingException">A file is damaged; the machine must be discarded.</exception>
    public void Restore(Keyframe keyframe, GuestMachine machine)
    {
        ArgumentNullException.ThrowIfNull(keyframe);
        ArgumentNullException.ThrowIfNull(machine);
        List<Keyframe> chain = ChainOf(keyframe, Keyframes) ?? throw Unusable(keyframe, SnapshotFileError.BaseMissing);
        ReadOnlyMemory<byte> state = default;
        foreach (Keyframe link in chain)
        {
            if (link.Header.MemoryBytes != machine.Memory.SizeBytes)
            {
                throw Unusable(link, SnapshotFileError.OtherMachine);
            }
            var target = new RestoreTarget(machine.Memory);
            state = ReadSnapshot(link, target);
            if (link.Header.Base is null)
            {
                target.ClearOthers();
            }
        }
        // Behind RAM: it makes the CPU forget everything that it derived from the bytes before.
        SnapshotError error = machine.Restore(new StateReader(state));
        if (error != SnapshotError.None)
        {
            throw new RecordingException($"{keyframe.Path}: the machine state in it cannot be restored ({error}).");
        }
        if (bootFiles.Value is { } files && !machine.TryTakeBootFiles(files))
        {
            throw new RecordingException($"{BootPath} is not of this recording's machine: put a good copy of the file in its place.");
        }
    }

    private string BootPath => Path.Combine(folder, RecordingFiles.Boot);

    /// <summary>What the machine boots from; null of a recording in which it was never started again.</summary>
    private BootFiles? ReadBootFiles()
    {
        try
        {
            if (!File.Exists(BootPath))
            {
                return null;
            }
            return new FileInfo(BootPath).Length <= (long)BootFiles.PageCountMax * GuestMemory.PageSizeBytes && BootFiles.TryRead(File.ReadAllBytes(BootPath)) is { } files
                ? files
                : throw new RecordingException($"{BootPath} is damaged: put a good copy of the file in its place.");
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new RecordingException($"{BootPath} cannot be read: {refused.Message}", refused);
        }
    }

    /// <summary>
    /// Compares a machine with what a keyframe holds: CPU, devices, and the pages that the keyframe names. For an incremental one those are all
    /// that were written since the keyframe before.
    /// </summary>
    /// <exception cref="RecordingException">The file is damaged.</exception>
    public static KeyframeComparison Compare(Keyframe keyframe, GuestMachine machine)
    {
        ArgumentNullException.ThrowIfNull(keyframe);
        ArgumentNullException.ThrowIfNull(machine);
        var target = new CompareTarget(machine.Memory);
        ReadOnlyMemory<byte> state = ReadSnapshot(keyframe, target);
        var writer = new StateWriter();
        machine.Snapshot(writer);
        return new KeyframeComparison(!writer.Written.SequenceEqual(state.Span), target.Different, state);
    }

    private static List<Keyframe> FindKeyframes(string folder, RecordingManifest manifest, List<string> problems)
    {
        var found = new List<Keyframe>();
        byte[] bytes = new byte[SnapshotHeader.SizeBytes];
        foreach (string path in Directory.GetFiles(folder, RecordingFiles.SnapshotPattern).Order(StringComparer.Ordinal))
        {
            using FileStream file = OpenFile(path);
            int read = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            SnapshotHeader? header = SnapshotHeader.TryRead(bytes.AsSpan(0, read), out SnapshotFileError error);
            if (header is not null && header.Recording != manifest.Recording)
            {
                error = SnapshotFileError.OtherRecording;
            }
            else if (header is not null && header.MemoryBytes != manifest.Machine.MemoryBytes)
            {
                error = SnapshotFileError.OtherMachine;
            }
            if (error == SnapshotFileError.None)
            {
                found.Add(new Keyframe(path, header!));
            }
            else
            {
                problems.Add($"{path} is not used: {Explain(error)}.");
            }
        }
        found.Sort((a, b) => a.Icount.CompareTo(b.Icount));
        foreach (Keyframe orphan in found.Where(keyframe => ChainOf(keyframe, found) is null).ToArray())
        {
            problems.Add($"{orphan.Path} is not used: {Explain(SnapshotFileError.BaseMissing)}.");
            found.Remove(orphan);
        }
        return found;
    }

    /// <summary>The full snapshot that a keyframe goes back to, and all between, in the order to restore them.</summary>
    private static List<Keyframe>? ChainOf(Keyframe keyframe, IReadOnlyList<Keyframe> all)
    {
        var chain = new List<Keyframe> { keyframe };
        while (chain[0].Header.Base is { } builtOn)
        {
            Keyframe? before = all.FirstOrDefault(candidate => candidate.Icount == builtOn.Icount && candidate.Header.Position.LastLsn == builtOn.LastLsn);
            if (before is null || before.Icount >= chain[0].Icount)
            {
                return null;
            }
            chain.Insert(0, before);
        }
        return chain;
    }

    private static ReadOnlyMemory<byte> ReadSnapshot(Keyframe keyframe, ISnapshotTarget target)
    {
        try
        {
            using FileStream file = OpenFile(keyframe.Path);
            file.Position = SnapshotHeader.SizeBytes;
            var decoder = new SnapshotDecoder(keyframe.Header, target);
            byte[] header = new byte[SnapshotChunk.HeaderBytes];
            byte[] buffer = new byte[SnapshotChunk.PayloadBytesMax];
            while (!decoder.IsComplete)
            {
                SnapshotFileError error = ReadChunk(file, header, ref buffer, out SnapshotChunkKind kind, out int length);
                if (error == SnapshotFileError.None)
                {
                    error = decoder.Take(kind, buffer.AsSpan(0, length));
                }
                if (error != SnapshotFileError.None)
                {
                    throw Unusable(keyframe, error);
                }
            }
            return decoder.State!.Value;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new RecordingException($"{keyframe.Path} cannot be read: {refused.Message}", refused);
        }
    }

    private static SnapshotFileError ReadChunk(FileStream file, byte[] header, ref byte[] buffer, out SnapshotChunkKind kind, out int length)
    {
        int read = file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false);
        SnapshotFileError error = SnapshotChunk.ReadHeader(header.AsSpan(0, read), out kind, out length);
        if (error != SnapshotFileError.None)
        {
            return error;
        }
        // A forged length must not size a buffer: no chunk is longer than its file.
        if (length > file.Length - file.Position)
        {
            return SnapshotFileError.Truncated;
        }
        if (length > buffer.Length)
        {
            buffer = new byte[length];
        }
        file.ReadExactly(buffer, 0, length);
        return SnapshotChunk.IsIntact(header, buffer.AsSpan(0, length)) ? SnapshotFileError.None : SnapshotFileError.BadChecksum;
    }

    private static FileStream OpenFile(string path) =>
        new(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 256 << 10);

    private static RecordingException Unusable(Keyframe keyframe, SnapshotFileError error) => new(
        $"{keyframe.Path} cannot be used: {Explain(error)}. Put a good copy of the file in its place, or remove it: a replay can start from any keyframe that does not build on it.");

    private static string Explain(SnapshotFileError error) => error switch
    {
        SnapshotFileError.Truncated => "it ends before the snapshot does",
        SnapshotFileError.NotASnapshot => "it is no snapshot",
        SnapshotFileError.UnknownVersion => "it has a format that this version of ftakka does not know; the one that recorded it does",
        SnapshotFileError.BadChecksum => "a checksum does not fit its bytes",
        SnapshotFileError.OtherRecording => "it belongs to another recording",
        SnapshotFileError.OtherMachine => "it is of another machine",
        SnapshotFileError.BaseMissing => "it says what changed since a snapshot that is not there",
        _ => "its content is not what this version writes",
    };
}
