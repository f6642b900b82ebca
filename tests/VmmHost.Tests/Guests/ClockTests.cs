using System.Globalization;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Tests.Guests;

/// <summary>The guest's clock follows the host's, whether the guest computes or sleeps.</summary>
[Collection(GuestTestCollection.Name)]
public sealed class ClockTests : IDisposable
{
    private static readonly TimeSpan Allowed = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan RtcHalfSecond = TimeSpan.FromMilliseconds(500) + Allowed;

    private const int Starts = 3;

    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    public void Dispose() => folder.Dispose();

    [GuestFact("gcc")]
    public void Clock_stays_with_the_hosts_for_twenty_seconds_busy_and_twenty_idle() => WatchStarts(readings: 80);

    [GuestFact("gcc", Long = true)]
    public void Clock_stays_with_the_hosts_for_a_minute_busy_and_a_minute_idle() => WatchStarts(readings: 240);

    /// <summary>
    /// Asks the guest for the time, over its console. It looks after it was asked and before the answer is here, so each answer bounds how far its
    /// clock is behind the host's, however long the host takes to run it or to carry the line. A kernel sets its clock by a real-time clock that
    /// knows whole seconds only, and counts half a second to it (drivers/rtc/class.c); from then on the distance must stay.
    /// </summary>
    /// <returns>How far the guest's clock is behind.</returns>
    private TimeSpan Watch(int readings)
    {
        // ftproof itself fails when a clock goes back.
        string image = GuestImage.Write(folder.Path, GuestImage.Plain, """
            stty -echo
            ftproof clock busy
            ftproof clock idle
            cat /sys/devices/system/clocksource/clocksource0/current_clocksource
            dmesg | grep -i unstable
            true
            """);
        using GuestProcess guest = GuestProcess.StartFtAkka(GuestProcess.Boot(image, "256M"));
        TimeSpan atLeast = TimeSpan.MinValue, atMost = TimeSpan.MaxValue;
        foreach (string mode in new[] { "busy", "idle" })
        {
            guest.WaitFor($"CLOCK-READY {mode}");
            for (int i = 0; i < readings; i++)
            {
                Thread.Sleep(250);
                DateTimeOffset asked = DateTimeOffset.UtcNow;
                guest.Type($"{mode}{i}\n");
                ConsoleLine answer = guest.WaitFor($"CLOCK {mode}{i} ");
                DateTimeOffset there = GuestTime(answer.Text);
                atLeast = asked - there > atLeast ? asked - there : atLeast;
                atMost = answer.At - there < atMost ? answer.At - there : atMost;
                Assert.True(atLeast - atMost <= Allowed, $"{mode}, reading {i}: behind by at least {atLeast}, and at another time by at most {atMost}");
            }
            guest.Type("end\n");
        }
        Assert.True(guest.End(GuestProcess.Patience) == ExitCode.Ok, guest.Story());
        Assert.Equal(
            ["CLOCK-END busy never went back", "CLOCK-END idle never went back", "tsc"],
            guest.Output.Where(line => !line.StartsWith("CLOCK ", StringComparison.Ordinal) && !line.StartsWith("CLOCK-READY", StringComparison.Ordinal)));
        return atLeast;
    }

    /// <summary>What the host takes away between the look at its clock and the machine's start stays in the guest's: then another start.</summary>
    private void WatchStarts(int readings)
    {
        var distances = new List<TimeSpan>();
        while (distances.Count < Starts)
        {
            distances.Add(Watch(readings));
            if (distances[^1] >= -RtcHalfSecond && distances[^1] <= RtcHalfSecond)
            {
                return;
            }
        }
        Assert.Fail($"The guest's clock is behind by {string.Join(", ", distances)}");
    }

    private static DateTimeOffset GuestTime(string line) =>
        DateTimeOffset.UnixEpoch + TimeSpan.FromTicks((long)(decimal.Parse(line.Split(' ')[2], CultureInfo.InvariantCulture) * TimeSpan.TicksPerSecond));
}
