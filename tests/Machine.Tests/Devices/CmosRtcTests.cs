using System.Globalization;
using FtAkka.Machine.Devices;

namespace FtAkka.Machine.Tests.Devices;

/// <summary>The real-time clock (MC146818A datasheet).</summary>
public sealed class CmosRtcTests
{
    private const ulong TscHz = 1_000_000_000;
    private const byte RegisterA = 0x0A, RegisterB = 0x0B, Bcd24 = 0x02, Binary24 = 0x06;

    private ulong tsc;

    private CmosRtc Create(string time = "2024-02-29T23:59:58") => new(
        new DateTimeOffset(DateTime.Parse(time, CultureInfo.InvariantCulture), TimeSpan.Zero).ToUnixTimeSeconds(), TscHz, () => tsc);

    private static byte Read(CmosRtc rtc, byte index)
    {
        rtc.PortWrite(0, index);
        return rtc.PortRead(1);
    }

    private static void Write(CmosRtc rtc, byte index, byte value)
    {
        rtc.PortWrite(0, index);
        rtc.PortWrite(1, value);
    }

    private static string Bcd(CmosRtc rtc) =>
        $"{Read(rtc, 0x32):x2}{Read(rtc, 9):x2}-{Read(rtc, 8):x2}-{Read(rtc, 7):x2} {Read(rtc, 4):x2}:{Read(rtc, 2):x2}:{Read(rtc, 0):x2} {Read(rtc, 6)}";

    [Fact]
    public void Time_is_the_boot_time_plus_the_tsc_over_the_end_of_a_leap_day()
    {
        var rtc = Create();
        Assert.Equal("2024-02-29 23:59:58 5", Bcd(rtc));
        tsc = 2 * TscHz - 1;
        Assert.Equal("2024-02-29 23:59:59 5", Bcd(rtc));
        tsc = 2 * TscHz;
        Assert.Equal("2024-03-01 00:00:00 6", Bcd(rtc));
    }

    [Fact]
    public void Calendar_agrees_with_the_framework_for_random_moments()
    {
        var random = new Random(99);
        for (var i = 0; i < 5000; i++)
        {
            var seconds = random.NextInt64(0, 253_402_300_800);
            var expected = DateTimeOffset.FromUnixTimeSeconds(seconds);
            var time = RtcTime.FromUnixSeconds(seconds);
            Assert.Equal((expected.Year, expected.Month, expected.Day, expected.Hour, expected.Minute, expected.Second),
                (time.Year, time.Month, time.Day, time.Hour, time.Minute, time.Second));
            Assert.Equal((int)expected.DayOfWeek + 1, time.DayOfWeek);
            Assert.Equal(seconds, time.ToUnixSeconds());
        }
    }

    [Fact]
    public void Binary_and_twelve_hour_modes()
    {
        var rtc = Create("2030-12-31T13:45:59");
        Write(rtc, RegisterB, Binary24);
        Assert.Equal((20, 30, 12, 31, 13, 45, 59), (Read(rtc, 0x32), Read(rtc, 9), Read(rtc, 8), Read(rtc, 7), Read(rtc, 4), Read(rtc, 2), Read(rtc, 0)));
        Write(rtc, RegisterB, 0x04);
        Assert.Equal(0x81, Read(rtc, 4));
        Write(rtc, RegisterB, 0x00);
        Assert.Equal(0x81, Read(rtc, 4));
        tsc = 11 * 3600 * TscHz;
        Assert.Equal(0x12, Read(rtc, 4));
    }

    [Fact]
    public void Update_in_progress_is_never_seen_and_ram_is_valid()
    {
        var rtc = Create();
        Assert.Equal(0x26, Read(rtc, RegisterA));
        Write(rtc, RegisterA, 0xA6);
        Assert.Equal(0x26, Read(rtc, RegisterA));
        Assert.Equal((0x00, 0x80), (Read(rtc, 0x0C), Read(rtc, 0x0D)));
    }

    [Fact]
    public void Guest_sets_the_clock_under_the_set_bit_and_it_runs_on_from_there()
    {
        var rtc = Create();
        Write(rtc, RegisterB, 0x80 | Bcd24);
        tsc = 10 * TscHz;
        Assert.Equal("2024-02-29 23:59:58 5", Bcd(rtc));
        Write(rtc, 0x32, 0x20);
        Write(rtc, 9, 0x31);
        Write(rtc, 8, 0x01);
        Write(rtc, 7, 0x15);
        Write(rtc, 4, 0x12);
        Write(rtc, 2, 0x30);
        Write(rtc, 0, 0x00);
        Write(rtc, RegisterB, Bcd24);
        tsc = 71 * TscHz;
        Assert.Equal("2031-01-15 12:31:01 4", Bcd(rtc));
    }

    [Fact]
    public void Single_field_can_be_set_while_the_clock_runs()
    {
        var rtc = Create("2024-06-15T10:20:30");
        Write(rtc, 2, 0x55);
        Assert.Equal("2024-06-15 10:55:30 7", Bcd(rtc));
    }

    [Fact]
    public void Memory_keeps_bytes_and_the_index_port_is_write_only()
    {
        var rtc = Create();
        Write(rtc, 0x0F, 0x5A);
        Write(rtc, 0x7F | 0x80, 0xA5);
        Assert.Equal((0x5A, 0xA5), (Read(rtc, 0x0F), Read(rtc, 0x7F)));
        Assert.Equal(0xFF, rtc.PortRead(0));
    }

    [Fact]
    public void Snapshot_round_trip()
    {
        var rtc = Create();
        Write(rtc, 2, 0x11);
        Write(rtc, RegisterB, 0x82);
        Write(rtc, 0x40, 0x99);
        SnapshotRoundTrip.Check(rtc, () => Create());
    }
}
