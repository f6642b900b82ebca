using FtAkka.Cpu.Memory;
using FtAkka.Machine;
using FtAkka.Machine.Snapshots;
using FtAkka.Replication.Replay;

namespace FtAkka.Replication.Snapshots;

/// <summary>
/// A copy of a machine's state, taken at once while the machine stands still, to be encoded (<see cref="SnapshotEncoder"/>) while it runs on.
/// Takes as much memory as the pages in it that are not zero.
/// </summary>
public sealed class SnapshotCapture
{
    private const int PagesPerBuffer = 512;

    private readonly List<byte[]> _buffers = [];
    private readonly List<int> _pages = [];
    private readonly List<int> _zeroPages = [];

    private SnapshotCapture(SnapshotHeader header, byte[] state)
    {
        Header = header;
        State = state;
    }

    /// <summary>What the file's header will say.</summary>
    public SnapshotHeader Header { get; }

    /// <summary>Everything but RAM, as <see cref="GuestMachine.Snapshot"/> writes it.</summary>
    public ReadOnlyMemory<byte> State { get; }

    /// <summary>Bytes of RAM content held.</summary>
    public long ContentBytes => (long)_pages.Count * GuestMemory.PageSizeBytes;

    /// <summary>Pages with content, ascending.</summary>
    internal IReadOnlyList<int> Pages => _pages;

    /// <summary>Pages that have become zero; none in a full snapshot, where what is not named is zero.</summary>
    internal IReadOnlyList<int> ZeroPages => _zeroPages;

    internal ReadOnlySpan<byte> Content(int number) =>
        _buffers[number / PagesPerBuffer].AsSpan(number % PagesPerBuffer * GuestMemory.PageSizeBytes, GuestMemory.PageSizeBytes);

    /// <summary>Copies the whole state.</summary>
    public static SnapshotCapture Full(Guid recording, GuestMachine machine, LogPosition position)
    {
        ArgumentNullException.ThrowIfNull(machine);
        var capture = Begin(recording, machine, position, null);
        for (int page = 0; page < machine.Memory.PageCount; page++)
            capture.Add(machine.Memory, page);
        return capture;
    }

    /// <summary>Copies what changed since <paramref name="builtOn"/>.</summary>
    /// <param name="recording">Identity of the recording.</param>
    /// <param name="machine">The machine.</param>
    /// <param name="position">Where the log stands.</param>
    /// <param name="builtOn">The snapshot before.</param>
    /// <param name="pages">Pages written since then, ascending.</param>
    public static SnapshotCapture Incremental(
        Guid recording, GuestMachine machine, LogPosition position, SnapshotBase builtOn, IReadOnlyList<int> pages)
    {
        ArgumentNullException.ThrowIfNull(machine);
        ArgumentNullException.ThrowIfNull(pages);
        var capture = Begin(recording, machine, position, builtOn);
        foreach (int page in pages)
            capture.Add(machine.Memory, page);
        return capture;
    }

    /// <summary>Puts a machine of the same configuration back to a full capture.</summary>
    public SnapshotError Restore(GuestMachine machine)
    {
        ArgumentNullException.ThrowIfNull(machine);
        if (Header.Base is not null || Header.MemoryBytes != machine.Memory.SizeBytes)
            return SnapshotError.OtherMachine;
        var target = new RestoreTarget(machine.Memory);
        for (int number = 0; number < _pages.Count; number++)
            target.Page(_pages[number], Content(number));
        target.ClearOthers();
        return machine.Restore(new StateReader(State));
    }

    private static SnapshotCapture Begin(Guid recording, GuestMachine machine, LogPosition position, SnapshotBase? builtOn)
    {
        var writer = new StateWriter();
        machine.Snapshot(writer);
        return new SnapshotCapture(
            new SnapshotHeader(recording, machine.Icount, position, machine.Memory.SizeBytes, builtOn), writer.Written.ToArray());
    }

    private void Add(GuestMemory memory, int page)
    {
        var content = memory.Page(page);
        if (content.IndexOfAnyExcept((byte)0) < 0)
        {
            if (Header.Base is not null)
                _zeroPages.Add(page);
            return;
        }
        if (_pages.Count % PagesPerBuffer == 0)
            _buffers.Add(new byte[PagesPerBuffer * GuestMemory.PageSizeBytes]);
        content.CopyTo(_buffers[^1].AsSpan(_pages.Count % PagesPerBuffer * GuestMemory.PageSizeBytes));
        _pages.Add(page);
    }
}
