namespace FtAkka.Machine.Snapshots;

/// <summary>Why a snapshot could not be restored.</summary>
public enum SnapshotError
{
    /// <summary>No error.</summary>
    None,
    /// <summary>The data ends before the state does.</summary>
    Truncated,
    /// <summary>A section other than the expected one stands at this place: another device set, or not a snapshot.</summary>
    UnexpectedSection,
    /// <summary>The section was written by a newer version of this program.</summary>
    UnsupportedVersion,
    /// <summary>A section or the snapshot holds more than this version knows.</summary>
    TrailingData,
    /// <summary>A value is out of its range.</summary>
    InvalidValue,
    /// <summary>The snapshot is of a machine with other devices, memory size or CPU model.</summary>
    OtherMachine,
}
