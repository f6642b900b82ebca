namespace FtAkka.Replication.Snapshots;

/// <summary>Why a snapshot file cannot be used.</summary>
public enum SnapshotFileError
{
    None,
    /// <summary>The bytes end before the snapshot does.</summary>
    Truncated,
    /// <summary>Not a snapshot at all.</summary>
    NotASnapshot,
    /// <summary>Written by a newer version of this program.</summary>
    UnknownVersion,
    /// <summary>A checksum does not fit its bytes.</summary>
    BadChecksum,
    /// <summary>The checksums are right, but the content is not what this version writes.</summary>
    Malformed,
    /// <summary>It belongs to another recording.</summary>
    OtherRecording,
    /// <summary>It is of a machine with other devices, memory size or CPU model.</summary>
    OtherMachine,
    /// <summary>It says what changed since a snapshot that is not there.</summary>
    BaseMissing,
}
