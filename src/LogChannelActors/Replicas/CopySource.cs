using FtAkka.Cpu.Memory;
using FtAkka.Machine;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Snapshots;
using FtAkka.Replication.Protection.Clone;
using FtAkka.Replication.Replay;

namespace FtAkka.LogChannelActors.Replicas;

/// <summary>Reads a live machine's memory for a copy, between quanta. Used on the machine's thread only.</summary>
internal sealed class CopySource(GuestMachine from) : IDisposable
{
    private DirtyPages? dirty;

    /// <summary>Pages of a machine's copy: those of its memory, and behind them those of what it boots from, which never change.</summary>
    public static int PageCountOf(GuestMachine machine) => machine.Memory.PageCount + (machine.BootFiles?.PageCount ?? 0);

    /// <summary>Notes from now on which pages are written.</summary>
    public void Start() => dirty = from.Memory.CreateDirtyLog();

    /// <summary>Content of pages.</summary>
    public List<PageContent> Read(IReadOnlyList<long> pages)
    {
        var contents = new List<PageContent>(pages.Count);
        foreach (long page in pages)
        {
            ReadOnlySpan<byte> bytes = page < from.Memory.PageCount ? from.Memory.Page((int)page) : from.BootFiles!.Page((int)page - from.Memory.PageCount);
            contents.Add(new PageContent(page, bytes.IndexOfAnyExcept((byte)0) < 0 ? [] : [.. bytes]));
        }
        return contents;
    }

    /// <summary>Pages written since the last collection.</summary>
    public long[] Collect()
    {
        var pages = new List<int>();
        dirty?.Drain(pages);
        return [.. pages];
    }

    /// <summary>The machine as it is, but for the pages that were read before and not written since.</summary>
    public FinalCapture Capture(LogPosition position, IReadOnlyList<long> alsoPages)
    {
        SortedSet<long> pages = [.. alsoPages, .. Collect()];
        var writer = new StateWriter();
        from.Snapshot(writer);
        MachineDigest digest = from.ComputeFullDigest();
        var capture = new FinalCapture(position, [.. writer.Written], Read([.. pages]), digest);
        // The backup's replay does the same where it begins.
        from.StartDigests();
        return capture;
    }

    /// <inheritdoc/>
    public void Dispose() => dirty?.Dispose();
}
