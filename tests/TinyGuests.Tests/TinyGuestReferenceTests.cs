using FtAkka.GuestKit;

namespace FtAkka.TinyGuests.Tests;

/// <summary>What the host computes for itself: records of the journal, answers of echo.</summary>
public sealed class TinyGuestReferenceTests
{
    private static readonly byte[] GuestMac = [2, 0, 0, 0, 0, 1];
    private static readonly byte[] HostMac = [2, 0, 0, 0, 0, 2];

    [Fact]
    public void Kernel_is_a_small_elf_file_and_assembles_to_the_same_bytes()
    {
        Assert.True(ElfFile.TryOpen(TinyGuest.Kernel, out ElfFile elf));
        Assert.Null(elf.Interpreter());
        Assert.Equal(TinyGuest.Kernel, TinyGuest.Kernel);
        Assert.NotSame(TinyGuest.Kernel, TinyGuest.Kernel);
    }

    [Fact]
    public void Journal_counts_records_up_to_the_first_damage()
    {
        byte[] disk = [.. JournalRecord.Expected(1, 4), .. new byte[1024]];
        Assert.Equal(4, JournalRecord.CountGood(disk, 1));
        Assert.Equal(0, JournalRecord.CountGood(disk, 2));

        disk[(2 * JournalRecord.SizeBytes) + 100] ^= 1;
        Assert.Equal(2, JournalRecord.CountGood(disk, 1));
    }

    [Fact]
    public void Echo_reference_answers_each_sequence_once_and_repeats_itself()
    {
        var echo = new EchoReference(GuestMac);
        byte[] first = EchoFrame.Request(GuestMac, HostMac, 1, [1, 2, 3]);
        byte[] third = EchoFrame.Request(GuestMac, HostMac, 3, []);

        byte[]? answer = echo.Answer(first);

        Assert.NotNull(answer);
        Assert.Equal(HostMac, answer[..6]);
        Assert.Equal(GuestMac, answer[6..12]);
        Assert.Equal([0xfe, 0xfd, 0xfc], answer[44..47]);
        Assert.Same(answer, echo.Answer(first));
        Assert.Null(echo.Answer(third));
        Assert.Equal(1ul, echo.Served);
        Assert.Null(echo.Answer(new byte[60]));
        Assert.NotNull(echo.Answer(EchoFrame.Request(GuestMac, HostMac, 2, [])));
    }
}
