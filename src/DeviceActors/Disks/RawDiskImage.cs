using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using FtAkka.DeviceActors.Fencing;
using FtAkka.Machine.Virtio.Block;
using Microsoft.Win32.SafeHandles;

namespace FtAkka.DeviceActors.Disks;

/// <summary>
/// A raw image: byte N of the disk is byte N of the file. A file whose size is no multiple of 512 has a last sector whose missing bytes
/// read as zero. What may wait for the storage happens on threads of the image's own, so that a slow disk takes no thread from the actors.
/// </summary>
public sealed class RawDiskImage : IDiskBackend
{
    private const int ZeroChunkBytes = 1024 * 1024;

    private readonly record struct Job(DiskRequest Request, TaskCompletionSource<DiskOutcome> Done);

    private readonly bool writeThrough;
    private readonly SafeFileHandle handle;
    private readonly BlockingCollection<Job> jobs = [];
    private readonly ImmutableArray<Thread> workers;
    private readonly Fence fence;
    private readonly CancellationTokenSource closing = new();
    private volatile string? flushFailure;
    private int disposed;

    private RawDiskImage(SafeFileHandle handle, RawDiskOptions options, long sizeBytes)
    {
        this.handle = handle;
        fence = options.Fence;
        ReadOnly = options.ReadOnly;
        writeThrough = options.WriteThrough;
        CapacitySectors = ((ulong)sizeBytes + BlockProtocol.SectorBytes - 1) / BlockProtocol.SectorBytes;
        ImmutableArray<Thread>.Builder threads = ImmutableArray.CreateBuilder<Thread>();
        for (int i = 0; i < options.ConcurrentRequests; i++)
        {
            var thread = new Thread(Work) { IsBackground = true, Name = $"disk {Path.GetFileName(options.Path)} {i}" };
            threads.Add(thread);
            thread.Start();
        }
        workers = threads.ToImmutable();
    }

    /// <inheritdoc/>
    public ulong CapacitySectors { get; }

    /// <inheritdoc/>
    public bool ReadOnly { get; }

    /// <summary>Opens an existing image.</summary>
    /// <exception cref="IOException">The file does not exist, is locked, empty, in another format, or cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission.</exception>
    public static RawDiskImage Open(RawDiskOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.ConcurrentRequests is < 1 or > 64)
        {
            throw new ArgumentException($"{options.ConcurrentRequests} concurrent requests: allowed are 1 to 64.", nameof(options));
        }
        FileAccess access = options.ReadOnly ? FileAccess.Read : FileAccess.ReadWrite;
        FileShare share = !options.Exclusive ? FileShare.ReadWrite : options.ReadOnly ? FileShare.Read : FileShare.None;
        SafeFileHandle handle = File.OpenHandle(options.Path, FileMode.Open, access, share, options.WriteThrough ? FileOptions.WriteThrough : FileOptions.None);
        try
        {
            long size = RandomAccess.GetLength(handle);
            if (size == 0)
            {
                throw new IOException($"The disk image '{options.Path}' is empty.");
            }
            if (options.RefuseOtherFormats && ImageFormat.Recognise(handle) is { } format)
            {
                throw new IOException($"'{options.Path}' looks like a {format} image, and only raw ones can be used: convert it (qemu-img convert -O raw), "
                    + "or say format=raw if these are the disk's own bytes.");
            }
            return new RawDiskImage(handle, options, size);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Reads what the host has in memory, and writes, which the host takes into memory; it makes the caller wait only when it has too much
    /// to write already.
    /// </summary>
    public DiskOutcome? TryExecuteAtOnce(DiskRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (Refusal(request) is not null || Volatile.Read(ref disposed) != 0 || !fence.IsOpen)
        {
            return null;   // Rare, and said, or waited for, on the other way.
        }
        return request.Kind switch
        {
            DiskRequestKind.Read => CachedFile.TryRead(handle, OffsetOf(request), (int)request.LengthBytes) is { } data
                ? Succeeded(request, ImmutableCollectionsMarshal.AsImmutableArray(data))
                : null,
            // A durable write waits for the storage.
            DiskRequestKind.Write when !writeThrough => TryWrite(request),
            _ => null,
        };
    }

    /// <inheritdoc/>
    public Task<DiskOutcome> ExecuteAsync(DiskRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var done = new TaskCompletionSource<DiskOutcome>();
        try
        {
            jobs.Add(new Job(request, done));
        }
        catch (Exception closed) when (closed is InvalidOperationException or ObjectDisposedException)
        {
            done.SetResult(Failed(request, "The disk image is closed."));
        }
        return done.Task;
    }

    /// <summary>Lets running and waiting requests finish, but for those that the fence holds, which are given up; then closes the file.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposed, 1) != 0)
        {
            return;
        }
        jobs.CompleteAdding();
        closing.Cancel();
        foreach (Thread worker in workers)
        {
            if (worker != Thread.CurrentThread)
            {
                worker.Join();
            }
        }
        // Left over only if a continuation closes the image, on the thread of the request that has ended, and that thread is the only one.
        while (jobs.TryTake(out Job job))
        {
            Perform(job);
        }
        jobs.Dispose();
        closing.Dispose();
        handle.Dispose();
    }

    private void Work()
    {
        foreach (Job job in jobs.GetConsumingEnumerable())
        {
            Perform(job);
            if (handle.IsClosed)
            {
                return;   // By a continuation, on this thread; the queue is gone as well.
            }
        }
    }

    private void Perform(Job job) => job.Done.SetResult(Execute(job.Request));

    /// <summary>Writes unless the fence has closed in the meantime: whoever closes the image is not to wait for that on its own thread.</summary>
    private DiskOutcome? TryWrite(DiskRequest request)
    {
        try
        {
            if (!fence.IsOpen)
            {
                return null;
            }
            RandomAccess.Write(handle, request.Data.AsSpan(), OffsetOf(request));
            return Succeeded(request, []);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return Failed(request, error.Message);
        }
    }

    private DiskOutcome Execute(DiskRequest request)
    {
        try
        {
            return Perform(request);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ObjectDisposedException or NotSupportedException)
        {
            if (request.Kind == DiskRequestKind.Flush)
            {
                // After a failed fsync the kernel may regard the lost pages as clean, and the next fsync would claim success.
                flushFailure = error.Message;
            }
            return Failed(request, error.Message);
        }
    }

    private DiskOutcome Perform(DiskRequest request)
    {
        if (Refusal(request) is { } reason)
        {
            return Failed(request, reason);
        }
        long offset = OffsetOf(request);
        if (!MayAct())
        {
            return Fenced(request);
        }
        switch (request.Kind)
        {
            case DiskRequestKind.Read:
                return Succeeded(request, ReadFully(offset, (int)request.LengthBytes));
            case DiskRequestKind.Write:
                RandomAccess.Write(handle, request.Data.AsSpan(), offset);
                break;
            case DiskRequestKind.Flush:
                if (!ReadOnly)
                {
                    RandomAccess.FlushToDisk(handle);
                }
                break;
            case DiskRequestKind.Discard:
                return Zero(request, offset, mayUnmap: true);
            case DiskRequestKind.WriteZeroes:
                return Zero(request, offset, request.MayUnmap);
            default:
                return new DiskOutcome(new DiskCompletion(request.Id, DiskStatus.Unsupported, []), $"Unknown request {request.Kind}.");
        }
        return Succeeded(request, []);
    }

    private string? Refusal(DiskRequest request)
    {
        bool inside = request.LengthBytes <= CapacitySectors * BlockProtocol.SectorBytes
            && request.Sector <= CapacitySectors - (request.LengthBytes / BlockProtocol.SectorBytes);
        bool changes = request.Kind is not (DiskRequestKind.Read or DiskRequestKind.Flush);
        if (!inside || (changes && ReadOnly))
        {
            return inside ? "The disk image is read-only." : "The request lies outside the disk image.";
        }
        return flushFailure is { } earlier && request.Kind != DiskRequestKind.Read
            ? $"An earlier flush failed, so that written data may be lost: {earlier}"
            : null;
    }

    private static long OffsetOf(DiskRequest request) => (long)(request.Sector * BlockProtocol.SectorBytes);

    private ImmutableArray<byte> ReadFully(long offset, int length)
    {
        byte[] data = new byte[length];
        int done = 0;
        while (done < length)
        {
            int read = RandomAccess.Read(handle, data.AsSpan(done), offset + done);
            if (read == 0)
            {
                break;   // The end of the file; what is missing stays zero.
            }
            done += read;
        }
        return ImmutableCollectionsMarshal.AsImmutableArray(data);
    }

    /// <summary>The last step before an access: nothing that may wait comes between this and the system call.</summary>
    private bool MayAct() => fence.IsOpen || fence.Wait(closing.Token);

    private static DiskOutcome Fenced(DiskRequest request) => Failed(request, "The replica may not act any more: the request was not performed.");

    private DiskOutcome Zero(DiskRequest request, long offset, bool mayUnmap)
    {
        long length = (long)request.LengthBytes;
        if (mayUnmap && SparseFile.TryPunchHole(handle, offset, length))
        {
            return Succeeded(request, []);
        }
        byte[] zeroes = new byte[(int)Math.Min(length, ZeroChunkBytes)];
        for (long done = 0; done < length; done += zeroes.Length)
        {
            int chunk = (int)Math.Min(zeroes.Length, length - done);
            if (!MayAct())
            {
                return Fenced(request);
            }
            RandomAccess.Write(handle, zeroes.AsSpan(0, chunk), offset + done);
        }
        return Succeeded(request, []);
    }

    private static DiskOutcome Succeeded(DiskRequest request, ImmutableArray<byte> data) =>
        new(new DiskCompletion(request.Id, DiskStatus.Ok, data), null);

    private static DiskOutcome Failed(DiskRequest request, string reason) =>
        new(new DiskCompletion(request.Id, DiskStatus.IoError, []), reason);
}
