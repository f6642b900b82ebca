namespace FtAkka.Machine.Snapshots;

/// <summary>
/// State that can be written and read back. Equal states write equal bytes: the same bytes feed the state digest that
/// primary and backup compare, so nothing host-dependent (addresses, times, cache contents) may be written.
/// </summary>
public interface ISnapshotable
{
    /// <summary>Writes the whole state as one section.</summary>
    void Snapshot(StateWriter writer);

    /// <summary>
    /// Reads what <see cref="Snapshot"/> wrote. On an error, also left in <see cref="StateReader.Error"/>, the object's state is
    /// unspecified and the machine must be discarded.
    /// </summary>
    SnapshotError Restore(StateReader reader);
}
