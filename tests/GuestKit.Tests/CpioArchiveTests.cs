using System.Globalization;
using System.Text;

namespace FtAkka.GuestKit.Tests;

public sealed class CpioArchiveTests
{
    private sealed record Entry(string Name, uint Inode, uint Mode, uint Links, uint Major, uint Minor, byte[] Content);

    [Fact]
    public void First_header_has_the_fields_of_the_newc_format()
    {
        byte[] archive = Build(a => a.AddFile("a", 0b110_100_100, "hi"u8));

        // Magic, then 13 fields of 8 digits: inode, mode, uid, gid, links, mtime, size, 4 device numbers, name size, check.
        string expected = "070701" + "00000001" + "000081a4" + "00000000" + "00000000" + "00000001" + "00000000" + "00000002"
            + "00000000" + "00000000" + "00000000" + "00000000" + "00000002" + "00000000" + "a\0";
        Assert.Equal(expected, Encoding.ASCII.GetString(archive, 0, expected.Length));
        Assert.Equal("hi", Encoding.ASCII.GetString(archive, 112, 2)); // 110 bytes of header and 2 of name are aligned already
    }

    [Fact]
    public void Entries_come_back_with_kind_content_and_alignment()
    {
        byte[] archive = Build(a =>
        {
            a.AddFile("/usr/bin/tool", 0b111_101_101, [1, 2, 3, 4, 5]);
            a.AddSymbolicLink("bin", "usr/bin");
            a.AddCharacterDevice("dev/console", 0b110_000_000, 5, 1);
            a.AddFile("empty", 0b110_100_100, []);
        });

        List<Entry> entries = Parse(archive);

        Assert.Equal(["usr", "usr/bin", "usr/bin/tool", "bin", "dev", "dev/console", "empty"], entries.Select(e => e.Name));
        Assert.Equal([0x41edu, 0x41edu, 0x81edu, 0xa1ffu, 0x41edu, 0x2180u, 0x81a4u], entries.Select(e => e.Mode));
        Assert.Equal([1, 2, 3, 4, 5], entries[2].Content);
        Assert.Equal("usr/bin", Encoding.UTF8.GetString(entries[3].Content));
        Assert.Equal((5u, 1u), (entries[5].Major, entries[5].Minor));
        Assert.Equal(entries.Count, entries.Select(e => e.Inode).Distinct().Count());
    }

    [Fact]
    public void Name_is_taken_once()
    {
        Assert.Throws<ArgumentException>(() => Build(a =>
        {
            a.AddFile("x", 0, []);
            a.AddSymbolicLink("/x", "y");
        }));
    }

    [Fact]
    public void Same_calls_give_the_same_bytes()
    {
        static void Fill(CpioArchive a)
        {
            a.AddFile("etc/hosts", 0b110_100_100, "127.0.0.1 localhost\n"u8);
            a.AddDirectory("proc");
        }

        Assert.Equal(Build(Fill), Build(Fill));
    }

    private static byte[] Build(Action<CpioArchive> fill)
    {
        using var stream = new MemoryStream();
        var archive = new CpioArchive(stream);
        fill(archive);
        archive.Finish();
        return stream.ToArray();
    }

    private static List<Entry> Parse(byte[] archive)
    {
        var entries = new List<Entry>();
        int at = 0;
        while (true)
        {
            Assert.Equal("070701", Encoding.ASCII.GetString(archive, at, 6));
            uint Field(int index) => uint.Parse(archive.AsSpan(at + 6 + (index * 8), 8), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            int nameBytes = (int)Field(11);
            int content = (at + 110 + nameBytes + 3) & ~3;
            string name = Encoding.UTF8.GetString(archive, at + 110, nameBytes - 1);
            if (name == "TRAILER!!!")
            {
                return entries;
            }

            entries.Add(new Entry(name, Field(0), Field(1), Field(4), Field(9), Field(10), archive[content..(content + (int)Field(6))]));
            at = (content + (int)Field(6) + 3) & ~3;
        }
    }
}
