using System.Globalization;
using System.Text;
using FtAkka.Nodes.HostFiles;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.Arbiters;

/// <summary>
/// An arbiter in a directory that every host mounts. The record of a generation is a file of its own, <c>VM.GENERATION.owner</c>: it is
/// written whole under another name, made durable, and then linked to its name, which fails if that exists (POSIX link(2)). The
/// directory is made durable before the answer counts. Others may write to the directory: what is read there is a regular file of
/// limited size, reached through no symbolic link, and a record proves itself by its checksum, its VM and its generation.
/// </summary>
/// <param name="directory">The directory.</param>
/// <param name="cluster">Identity that it must carry whenever it is asked (<see cref="ClusterIdentity"/>): what was mounted there may be gone. Null: any will do.</param>
public sealed class FileArbiter(string directory, string? cluster = null) : INodeArbiter
{
    /// <summary>Questions that wait for a storage that hangs. What is asked beyond them is answered at once: it is out of reach.</summary>
    public const int QuestionsMax = 256;

    private const string OwnerSuffix = ".owner";
    private const string EndedSuffix = ".ended";

    private int questions;

    /// <inheritdoc/>
    public string Place => directory;

    /// <inheritdoc/>
    public void Claim(OwnershipClaim claim, Action<OwnershipVerdict> answer) => Ask(() => ClaimNow(claim), answer);

    /// <inheritdoc/>
    public void Check(OwnershipClaim claim, Action<OwnershipVerdict> answer) => Ask(() => CheckNow(claim), answer);

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
                DurableFile.SyncFolder(directory);
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
    /// <exception cref="ArbiterRecordException">The record is empty, torn, damaged, of another VM or generation, or no regular file.</exception>
    /// <exception cref="IOException">The storage fails, or the directory is not the cluster's.</exception>
    public OwnershipRecord? Newest(string vm)
    {
        RequireDirectory();
        ulong newest = Generations(vm, OwnerSuffix).DefaultIfEmpty().Max();
        if (newest == 0)
        {
            return null;
        }
        string path = PathOf(vm, newest, OwnerSuffix);
        try
        {
            return OwnershipRecordText.TryRead(RegularFile.Read(path, OwnershipRecordText.BytesMax, followLinks: false), vm, newest, out string wrong)
                ?? throw Unusable(path, vm, wrong, null);
        }
        catch (FileRefusedException refused)
        {
            throw Unusable(path, vm, refused.Message.TrimEnd('.'), refused);
        }
    }

    /// <summary>Whether the VM of a generation is known to have ended in order.</summary>
    /// <exception cref="ArbiterRecordException">The mark of the end is no regular file.</exception>
    /// <exception cref="IOException">The storage fails, or the directory is not the cluster's.</exception>
    public bool HasEnded(string vm, ulong generation)
    {
        RequireDirectory();
        string path = PathOf(vm, generation, EndedSuffix);
        if (FileStatus.Of(path) is not { } mark)
        {
            return false;
        }
        return mark.IsRegular ? true : throw Unusable(path, vm, $"it is {mark.Kind}, not {FileStatus.Regular}", null);
    }

    /// <summary>Notes that the VM ended in order, so that it may be started anew.</summary>
    /// <exception cref="IOException">The storage fails, or the directory is not the cluster's.</exception>
    public void NoteEnd(string vm, ulong generation)
    {
        RequireDirectory();
        DurableFile.TryCreate(PathOf(vm, generation, EndedSuffix), Encoding.UTF8.GetBytes($"{vm} ended in order, {DateTimeOffset.UtcNow.ToString("O", CultureInfo.InvariantCulture)}\n"));
        DurableFile.SyncFolder(directory);
    }

    /// <summary>Storage may hang: each question has a thread of its own.</summary>
    private void Ask(Func<OwnershipVerdict> question, Action<OwnershipVerdict> answer)
    {
        if (Interlocked.Increment(ref questions) > QuestionsMax)
        {
            Interlocked.Decrement(ref questions);
            answer(OwnershipVerdict.Unreachable);
            return;
        }
        new Thread(() =>
        {
            OwnershipVerdict verdict = question();
            Interlocked.Decrement(ref questions);
            answer(verdict);
        }) { IsBackground = true, Name = "arbiter" }.Start();
    }

    private void RequireDirectory()
    {
        if (cluster is not null)
        {
            ClusterIdentity.Require(directory, cluster);
        }
    }

    private static ArbiterRecordException Unusable(string path, string vm, string what, Exception? cause)
    {
        string message = $"The arbiter's record {path} cannot be used: {what}. If it is certain that {vm} runs nowhere, move this file out of the folder and start {vm} "
            + "where its disks are newest, with --take-over if an older record is left.";
        return cause is null ? new ArbiterRecordException(message) : new ArbiterRecordException(message, cause);
    }

    /// <summary>Whatever has a record's name counts, also what is no file: it stands where a record would.</summary>
    private IEnumerable<ulong> Generations(string vm, string suffix)
    {
        string prefix = vm + ".";
        foreach (string entry in Directory.EnumerateFileSystemEntries(directory, $"{vm}.*{suffix}"))
        {
            string name = Path.GetFileName(entry);
            if (name.StartsWith(prefix, StringComparison.Ordinal) && name.Length > prefix.Length + suffix.Length
                && ulong.TryParse(name.AsSpan(prefix.Length, name.Length - prefix.Length - suffix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out ulong generation)
                && name == NameOf(vm, generation, suffix))
            {
                yield return generation;
            }
        }
    }

    private void Create(OwnershipClaim claim)
    {
        var record = new OwnershipRecord(claim.Replica.Vm, claim.Generation, claim.Replica.Node, claim.Replica.Incarnation,
            DateTimeOffset.UtcNow.ToString("O", CultureInfo.InvariantCulture));
        DurableFile.TryCreate(PathOf(claim.Replica.Vm, claim.Generation, OwnerSuffix), OwnershipRecordText.Write(record));
    }

    private string PathOf(string vm, ulong generation, string suffix) => Path.Combine(directory, NameOf(vm, generation, suffix));

    private static string NameOf(string vm, ulong generation, string suffix) => string.Create(CultureInfo.InvariantCulture, $"{vm}.{generation}{suffix}");
}
