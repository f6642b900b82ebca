namespace FtAkka.Machine.Virtio.Block;

/// <summary>Constants of the block device (virtio 1.2 §5.2).</summary>
public static class BlockProtocol
{
    /// <summary>Device type (§5.2.1).</summary>
    public const uint DeviceId = 2;

    /// <summary>Unit of all sector numbers and of request lengths (§5.2.4), whatever the block size.</summary>
    public const uint SectorBytes = 512;

    /// <summary><c>VIRTIO_BLK_F_SIZE_MAX</c>: limit on a segment.</summary>
    public const ulong FeatureSizeMax = 1UL << 1;

    /// <summary><c>VIRTIO_BLK_F_SEG_MAX</c>: limit on the segments of a request.</summary>
    public const ulong FeatureSegmentsMax = 1UL << 2;

    /// <summary><c>VIRTIO_BLK_F_RO</c>: read-only.</summary>
    public const ulong FeatureReadOnly = 1UL << 5;

    /// <summary><c>VIRTIO_BLK_F_BLK_SIZE</c>: <c>blk_size</c> is valid.</summary>
    public const ulong FeatureBlockSize = 1UL << 6;

    /// <summary><c>VIRTIO_BLK_F_FLUSH</c>: flush command; writes may be cached until then.</summary>
    public const ulong FeatureFlush = 1UL << 9;

    /// <summary><c>VIRTIO_BLK_F_TOPOLOGY</c>: topology fields are valid.</summary>
    public const ulong FeatureTopology = 1UL << 10;

    /// <summary><c>VIRTIO_BLK_F_MQ</c>: <c>num_queues</c> is valid.</summary>
    public const ulong FeatureMultiQueue = 1UL << 12;

    /// <summary><c>VIRTIO_BLK_F_DISCARD</c>: discard command.</summary>
    public const ulong FeatureDiscard = 1UL << 13;

    /// <summary><c>VIRTIO_BLK_F_WRITE_ZEROES</c>: write-zeroes command.</summary>
    public const ulong FeatureWriteZeroes = 1UL << 14;

    /// <summary>Size of <c>struct virtio_blk_config</c> up to and with <c>write_zeroes_may_unmap</c> and its padding (§5.2.4).</summary>
    public const int ConfigurationBytes = 60;

    /// <summary>Size of the header of each request: type, reserved, sector (§5.2.6).</summary>
    public const int HeaderBytes = 16;

    /// <summary>Size of <c>struct virtio_blk_discard_write_zeroes</c>.</summary>
    public const int RangeBytes = 16;

    /// <summary>Length of the device's identity string (§5.2.6).</summary>
    public const int IdentityBytes = 20;

    /// <summary><c>VIRTIO_BLK_T_IN</c>.</summary>
    public const uint TypeRead = 0;

    /// <summary><c>VIRTIO_BLK_T_OUT</c>.</summary>
    public const uint TypeWrite = 1;

    /// <summary><c>VIRTIO_BLK_T_FLUSH</c>.</summary>
    public const uint TypeFlush = 4;

    /// <summary><c>VIRTIO_BLK_T_GET_ID</c>.</summary>
    public const uint TypeGetIdentity = 8;

    /// <summary><c>VIRTIO_BLK_T_DISCARD</c>.</summary>
    public const uint TypeDiscard = 11;

    /// <summary><c>VIRTIO_BLK_T_WRITE_ZEROES</c>.</summary>
    public const uint TypeWriteZeroes = 13;

    /// <summary><c>VIRTIO_BLK_S_OK</c>.</summary>
    public const byte StatusOk = 0;

    /// <summary><c>VIRTIO_BLK_S_IOERR</c>.</summary>
    public const byte StatusIoError = 1;

    /// <summary><c>VIRTIO_BLK_S_UNSUPP</c>.</summary>
    public const byte StatusUnsupported = 2;

    /// <summary>Flag of a range: a write-zeroes may deallocate.</summary>
    public const uint RangeUnmap = 1;
}
