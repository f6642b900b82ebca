using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Tests;

/// <summary>What every device's snapshot must satisfy.</summary>
internal static class SnapshotRoundTrip
{
    public static byte[] Take(ISnapshotable device)
    {
        var writer = new StateWriter();
        device.Snapshot(writer);
        return writer.Written.ToArray();
    }

    /// <summary>Restores into another device, which then writes the same bytes; every shorter snapshot is refused.</summary>
    public static void Check(ISnapshotable original, Func<ISnapshotable> createOther)
    {
        var bytes = Take(original);
        var other = createOther();
        Assert.NotEqual(bytes, Take(other));
        Assert.Equal(SnapshotError.None, other.Restore(new StateReader(bytes)));
        Assert.Equal(bytes, Take(other));
        for (var length = 0; length < bytes.Length; length++)
            Assert.Equal(SnapshotError.Truncated, createOther().Restore(new StateReader(bytes.AsMemory(0, length))));
        var newer = bytes.ToArray();
        newer[4] = 0xFF;
        Assert.Equal(SnapshotError.UnsupportedVersion, createOther().Restore(new StateReader(newer)));
        var stranger = bytes.ToArray();
        stranger[0] ^= 0x20;
        Assert.Equal(SnapshotError.UnexpectedSection, createOther().Restore(new StateReader(stranger)));
    }
}
