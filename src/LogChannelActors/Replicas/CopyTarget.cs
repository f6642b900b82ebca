using System.Collections;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using FtAkka.Cpu.Memory;
using FtAkka.Machine;
using FtAkka.Machine.Boot;
using FtAkka.Machine.Snapshots;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;

namespace FtAkka.LogChannelActors.Replicas;

/// <summary>
/// A backup's machine while the copy arrives, and its owner until a machine actor runs it live: freed with the replica on every path that does not lead there.
/// </summary>
internal sealed class CopyTarget(GuestMachine machine, ProtectionOptions protection)
{
    private const int Idle = 0, Restoring = 1, Gone = 2;

    private static readonly byte[] ZeroPage = new byte[GuestMemory.PageSizeBytes];

    /// <summary>Pages of the copy that anything was written to; the others are zero, and many stay so: they are not even looked at.</summary>
    private readonly BitArray written = new(machine.Memory.PageCount);
    private byte[] bootFiles = [];
    private int state;

    /// <summary>The machine.</summary>
    public GuestMachine Machine => machine;

    /// <summary>Takes pages.</summary>
    public void Write(IReadOnlyList<PageContent> pages)
    {
        foreach (PageContent page in pages)
        {
            int index = (int)page.Page;
            if (index >= machine.Memory.PageCount)
            {
                WriteBootFiles(index - machine.Memory.PageCount, page.Bytes);
                continue;
            }
            bool wasWritten = written[index];
            if (page.Bytes.IsEmpty && !wasWritten)
            {
                continue;
            }
            written[index] = true;
            ReadOnlySpan<byte> content = page.Bytes.IsEmpty ? ZeroPage : page.Bytes.AsSpan();
            if (!wasWritten || !machine.Memory.Page(index).SequenceEqual(content))
            {
                machine.Memory.TryWrite(machine.Memory.PhysicalAddressOf(index), content);
            }
        }
    }

    private void WriteBootFiles(int index, ImmutableArray<byte> bytes)
    {
        int start = index * GuestMemory.PageSizeBytes;
        if (bootFiles.Length < start + GuestMemory.PageSizeBytes)
        {
            long doubled = Math.Min(2L * bootFiles.Length, (long)BootFiles.PageCountMax * GuestMemory.PageSizeBytes);
            Array.Resize(ref bootFiles, (int)Math.Max(doubled, start + GuestMemory.PageSizeBytes));
        }
        bytes.CopyTo(bootFiles.AsSpan(start));
    }

    /// <summary>Restores CPU and devices. The digest reads all of memory: the replica must hear its primary meanwhile, and so this takes a thread.</summary>
    /// <param name="copied">The state.</param>
    /// <param name="inBackground">Runs it.</param>
    /// <param name="done">Told of the result on that thread, unless the machine is not needed any more.</param>
    public void Restore(ImmutableArray<byte> copied, Action<Action> inBackground, Action<RestoredCopy> done)
    {
        if (Interlocked.CompareExchange(ref state, Restoring, Idle) != Idle)
        {
            return;
        }
        inBackground(() =>
        {
            RestoredCopy result = Restore(copied);
            if (Interlocked.CompareExchange(ref state, Idle, Restoring) == Restoring)
            {
                done(result);
            }
            else
            {
                machine.Dispose();
            }
        });
    }

    private RestoredCopy Restore(ImmutableArray<byte> copied)
    {
        SnapshotError error = machine.Restore(new StateReader(copied.AsMemory()));
        if (error != SnapshotError.None)
        {
            return new RestoredCopy(new CloneReceiverInput.RestoreFailed($"The copied state cannot be restored: {error}."), []);
        }
        if (!machine.TryTakeBootFiles(BootFiles.TryRead(bootFiles)))
        {
            return new RestoredCopy(new CloneReceiverInput.RestoreFailed("The copy of what the machine boots from is not what its state says."), []);
        }
        // Requests from before the switch stand in no entry that this replica replays.
        return new RestoredCopy(new CloneReceiverInput.Restored(machine.ComputeFullDigest()),
            [.. machine.OutstandingDiskRequests.Where(request => protection.IsSeparate(request.Disk) && request.Request.Kind != DiskRequestKind.Read)
                .Select(request => new PendingRequest(request.Disk, request.Request))]);
    }

    /// <summary>A machine actor has the machine, and frees it.</summary>
    public void HandOver() => Interlocked.Exchange(ref state, Gone);

    /// <summary>Nobody runs or replays the machine, nor will: frees it.</summary>
    public void Release()
    {
        if (Interlocked.Exchange(ref state, Gone) == Idle)
        {
            machine.Dispose();
        }
    }
}

/// <summary>How a restore ended.</summary>
/// <param name="Result">For the core, once the requests are performed.</param>
/// <param name="Pending">Requests of the copied machine that change this replica's own disks.</param>
internal sealed record RestoredCopy(CloneReceiverInput Result, ImmutableArray<PendingRequest> Pending);
