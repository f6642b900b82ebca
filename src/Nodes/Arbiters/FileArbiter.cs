using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.Arbiters;

/// <summary>
/// An arbiter in a directory that every host mounts. The record of a generation is a file of its own, <c>VM.GENERATION.owner</c>: it is
/// written whole under another name, made durable, and then linked to its name, which fails if that exists (POSIX link(2)). The
/// directory is made durable before the answer counts.
/// </summary>
public sealed class FileArbiter(string directory) : INodeArbiter
{
    private const int OpenDirectory = 0x10000;   // O_RDONLY | O_DIRECTORY
    private const int AlreadyThere = 17;         // EEXIST
    private const string OwnerSuffix = ".owner";
    private const string EndedSuffix = ".ended";

    /// <inheritdoc/>
    public string Place => directory;

    /// <inheritdoc/>
    public void Claim(OwnershipClaim claim, Action<OwnershipVerdict> answer) => Ask(() => answer(ClaimNow(claim)));

    /// <inheritdoc/>
    public void Check(OwnershipClaim claim, Action<OwnershipVerdict> answer) => Ask(() => answer(CheckNow(claim)));

    /// <inheritdoc/>
    public OwnershipVerdict ClaimNow(OwnershipClaim claim)
    {
        ArgumentNullException.ThrowIfNull(claim);
        try
        {
            if (OwnershipRules.MustCreate(Newest(claim.Replica.Vm), claim))
            {
                Create(claim);
            }
            OwnershipVerdict verdict = OwnershipRules.Judge(Newest(claim.Replica.Vm), claim);
            if (verdict == OwnershipVerdict.Owned)
            {
                SyncDirectory();
            }
            return verdict;
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            return OwnershipVerdict.Unreachable;
        }
    }

    /// <summary>Judges a claim by the newest record, without creating one. Takes as long as the storage does.</summary>
    public OwnershipVerdict CheckNow(OwnershipClaim claim)
    {
        ArgumentNullException.ThrowIfNull(claim);
        try
        {
            return OwnershipRules.Judge(Newest(claim.Replica.Vm), claim);
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            return OwnershipVerdict.Unreachable;
        }
    }

    /// <summary>The newest record of a VM; null if it never ran.</summary>
    /// <exception cref="IOException">The storage fails, or the record is damaged; the message names its file.</exception>
    public OwnershipRecord? Newest(string vm)
    {
        ulong newest = Generations(vm, OwnerSuffix).DefaultIfEmpty().Max();
        if (newest == 0)
        {
            return null;
        }
        string path = PathOf(vm, newest, OwnerSuffix);
        try
        {
            return JsonSerializer.Deserialize<OwnershipRecord>(File.ReadAllText(path));
        }
        catch (JsonException damaged)
        {
            throw new IOException($"The record {path} is damaged: {damaged.Message}", damaged);
        }
    }

    /// <summary>Whether the VM of a generation is known to have ended in order.</summary>
    /// <exception cref="IOException">The storage fails.</exception>
    public bool HasEnded(string vm, ulong generation) => File.Exists(PathOf(vm, generation, EndedSuffix));

    /// <summary>Notes that the VM ended in order, so that it may be started anew.</summary>
    /// <exception cref="IOException">The storage fails.</exception>
    public void NoteEnd(string vm, ulong generation)
    {
        File.WriteAllText(PathOf(vm, generation, EndedSuffix), "");
        SyncDirectory();
    }

    /// <summary>Storage may hang: each question has a thread of its own.</summary>
    private static void Ask(Action question) => new Thread(() => question()) { IsBackground = true, Name = "arbiter" }.Start();

    private IEnumerable<ulong> Generations(string vm, string suffix)
    {
        string prefix = vm + ".";
        foreach (string file in Directory.EnumerateFiles(directory, $"{vm}.*{suffix}"))
        {
            string name = Path.GetFileName(file);
            if (name.StartsWith(prefix, StringComparison.Ordinal)
                && ulong.TryParse(name.AsSpan(prefix.Length, name.Length - prefix.Length - suffix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out ulong generation))
            {
                yield return generation;
            }
        }
    }

    private void Create(OwnershipClaim claim)
    {
        string temporary = Path.Combine(directory, $".{claim.Replica.Vm}.{Guid.NewGuid():N}.tmp");
        var record = new OwnershipRecord(claim.Replica.Vm, claim.Generation, claim.Replica.Node, claim.Replica.Incarnation,
            DateTimeOffset.UtcNow.ToString("O", CultureInfo.InvariantCulture));
        try
        {
            using (var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write))
            {
                file.Write(JsonSerializer.SerializeToUtf8Bytes(record));
                file.Flush(flushToDisk: true);
            }
            if (Link(temporary, PathOf(claim.Replica.Vm, claim.Generation, OwnerSuffix)) != 0 && Marshal.GetLastPInvokeError() != AlreadyThere)
            {
                throw LastError("Cannot create the owner's record");
            }
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private void SyncDirectory()
    {
        int file = Open(directory, OpenDirectory);
        if (file < 0)
        {
            throw LastError($"Cannot open {directory}");
        }
        int result = Sync(file);
        IOException? failure = result == 0 ? null : LastError($"Cannot make {directory} durable");
        _ = Close(file);
        if (failure is not null)
        {
            throw failure;
        }
    }

    private string PathOf(string vm, ulong generation, string suffix) =>
        Path.Combine(directory, string.Create(CultureInfo.InvariantCulture, $"{vm}.{generation}{suffix}"));

    private static IOException LastError(string what)
    {
        int error = Marshal.GetLastPInvokeError();
        return new IOException($"{what}: {Marshal.GetPInvokeErrorMessage(error)} (errno {error}).");
    }

    [DllImport("libc", EntryPoint = "link", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Link([MarshalAs(UnmanagedType.LPUTF8Str)] string existing, [MarshalAs(UnmanagedType.LPUTF8Str)] string created);

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Sync(int file);

    [DllImport("libc", EntryPoint = "close", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Close(int file);
}
