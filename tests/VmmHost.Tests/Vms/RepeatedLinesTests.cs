using FtAkka.VmmHost.Vms;

namespace FtAkka.VmmHost.Tests.Vms;

public sealed class RepeatedLinesTests
{
    private readonly RepeatedLines lines = new(TimeSpan.FromSeconds(30));

    [Fact]
    public void Text_is_due_at_once_and_again_after_the_quiet_time_with_what_was_dropped()
    {
        Assert.True(lines.IsDue("a", 0, out int dropped));
        Assert.Equal(0, dropped);
        Assert.False(lines.IsDue("a", 1, out _));
        Assert.False(lines.IsDue("a", 29_999, out _));
        Assert.True(lines.IsDue("a", 30_000, out dropped));
        Assert.Equal(2, dropped);
        Assert.False(lines.IsDue("a", 30_001, out _));
    }

    [Fact]
    public void Texts_do_not_hold_up_each_other_and_are_forgotten_when_they_are_many()
    {
        Assert.True(lines.IsDue("a", 0, out _));
        for (int i = 0; i < 1000; i++)
        {
            Assert.True(lines.IsDue($"b{i}", 0, out _));
        }
        Assert.True(lines.IsDue("a", 1, out int dropped));
        Assert.Equal(0, dropped);
    }
}
