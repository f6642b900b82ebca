using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine.Tests.Snapshots;

public sealed class StateReaderTests
{
    private static byte[] Sample()
    {
        var writer = new StateWriter();
        var outer = writer.BeginSection("OUTR", 2);
        writer.WriteByte(1);
        writer.WriteUInt16(0x0302);
        var inner = writer.BeginSection("INNR", 1);
        writer.WriteUInt32(0x0706_0504);
        writer.EndSection(inner);
        writer.WriteUInt64(0x0F0E_0D0C_0B0A_0908);
        writer.WriteBoolean(true);
        writer.WriteBytes([9, 8, 7]);
        writer.EndSection(outer);
        return writer.Written.ToArray();
    }

    [Fact]
    public void What_was_written_is_read_back_through_nested_sections()
    {
        var reader = new StateReader(Sample());
        Assert.Equal(2, reader.BeginSection("OUTR", 3));
        Assert.Equal(1, reader.ReadByte());
        Assert.Equal(0x0302, reader.ReadUInt16());
        Assert.Equal(1, reader.BeginSection("INNR", 1));
        Assert.Equal(0x0706_0504U, reader.ReadUInt32());
        Assert.Equal(SnapshotError.None, reader.EndSection());
        Assert.Equal(0x0F0E_0D0C_0B0A_0908UL, reader.ReadUInt64());
        Assert.True(reader.ReadBoolean());
        Assert.Equal([9, 8, 7], reader.ReadBytes(3));
        Assert.Equal(SnapshotError.None, reader.EndSection());
        Assert.Equal(SnapshotError.None, reader.End());
    }

    [Fact]
    public void Section_that_holds_more_than_was_read_is_trailing_data()
    {
        var reader = new StateReader(Sample());
        reader.BeginSection("OUTR", 2);
        Assert.Equal(SnapshotError.TrailingData, reader.EndSection());
    }

    [Fact]
    public void Read_past_the_end_of_a_section_is_truncated_even_if_data_follows()
    {
        var writer = new StateWriter();
        writer.EndSection(writer.BeginSection("EMPT", 1));
        writer.WriteUInt64(42);
        var reader = new StateReader(writer.Written.ToArray());
        reader.BeginSection("EMPT", 1);
        Assert.Equal(0UL, reader.ReadUInt64());
        Assert.Equal(SnapshotError.Truncated, reader.Error);
    }

    [Fact]
    public void First_error_stays_and_later_reads_give_zero()
    {
        var reader = new StateReader(new byte[] { 7, 7 });
        reader.ReadUInt32();
        Assert.Equal(0, reader.ReadByte());
        reader.Fail(SnapshotError.InvalidValue);
        Assert.Equal(SnapshotError.Truncated, reader.End());
    }

    [Fact]
    public void Length_prefix_beyond_the_limit_is_refused_before_anything_is_allocated()
    {
        var reader = new StateReader(new byte[] { 0xFF, 0xFF, 0xFF, 0x7F });
        Assert.Empty(reader.ReadBytes(16));
        Assert.Equal(SnapshotError.InvalidValue, reader.Error);
    }

    [Fact]
    public void Boolean_other_than_zero_or_one_is_invalid()
    {
        var reader = new StateReader(new byte[] { 2 });
        reader.ReadBoolean();
        Assert.Equal(SnapshotError.InvalidValue, reader.Error);
    }

    [Fact]
    public void Open_section_cannot_be_handed_over()
    {
        var writer = new StateWriter();
        writer.BeginSection("OPEN", 1);
        Assert.Throws<InvalidOperationException>(() => writer.Written.Length);
    }
}
