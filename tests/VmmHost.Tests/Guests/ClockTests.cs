using System.Globalization;
using FtAkka.VmmHost.GuestKit;

namespace FtAkka.VmmHost.Tests.Guests;

/// <summary>The guest's clock follows the host's, whether the guest computes or sleeps.</summary>
[Collection(GuestTestCollection.Name)]
public sealed class ClockTests : IDisposable
{
    private static readonly TimeSpan Allowed = TimeSpan.FromMilliseconds(10);

    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    public void Dispose() => folder.Dispose();

    [GuestFact("gcc")]
    public void Clock_stays_with_the_hosts_for_a_few_seconds() => Watch(4);

    [GuestFact("gcc", Long = true)]
    public void Clock_stays_with_the_hosts_for_a_minute() => Watch(30);

    private void Watch(int seconds)
    {
        // ftproof itself fails when a clock goes back.
        string image = GuestImage.Write(folder.Path, GuestImage.Plain, $"""
            ftproof clock busy {seconds}
            ftproof clock idle {seconds}
            cat /sys/devices/system/clocksource/clocksource0/current_clocksource
            dmesg | grep -i unstable
            true
            """);
        using GuestProcess guest = GuestProcess.StartFtAkka(GuestProcess.Boot(image, "256M"));
        Assert.True(guest.End(GuestProcess.Patience) == 0, guest.Story());

        Assert.Equal(
            ["CLOCK-END busy never went back", "CLOCK-END idle never went back", "tsc"],
            guest.Output.Where(line => !line.StartsWith("CLOCK ", StringComparison.Ordinal)));
        foreach (string mode in new[] { "busy", "idle" })
        {
            TimeSpan[] behind = [.. guest.Console.Where(line => IsReading(line.Text, mode)).Select(line => line.At - GuestTime(line.Text))];
            Assert.True(behind.Length >= seconds * 2, guest.Story());
            // A line tells how far the guest is behind the host, plus the time the line took to come here; a preempted reader or guest adds
            // to single lines. Being ahead nothing excuses.
            Assert.True(behind.Min() > -Allowed, $"{mode}: ahead by {-behind.Min()}");
            TimeSpan[] early = Sorted(behind[..(behind.Length / 2)]), late = Sorted(behind[(behind.Length / 2)..]);
            Assert.True(early[early.Length / 4] < Allowed, $"{mode}: behind by {early[early.Length / 4]} in the first half");
            Assert.True(late[late.Length / 4] < Allowed, $"{mode}: behind by {late[late.Length / 4]} in the second half");
        }
    }

    private static bool IsReading(string line, string mode) =>
        line.StartsWith("CLOCK ", StringComparison.Ordinal) && line.EndsWith(mode, StringComparison.Ordinal);

    private static DateTimeOffset GuestTime(string line) =>
        DateTimeOffset.UnixEpoch + TimeSpan.FromTicks((long)(decimal.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture) * TimeSpan.TicksPerSecond));

    private static TimeSpan[] Sorted(TimeSpan[] times) => [.. times.Order()];
}
