using FtAkka.DeviceActors.Consoles;

namespace FtAkka.DeviceActors.Tests.Consoles;

public sealed class ConsoleScrollbackTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Closing_ends_a_client_that_waits_behind_the_last_byte()
    {
        var console = new ConsoleScrollback();
        console.Append(5, "abc"u8);
        Task<(ulong Offset, byte[] Bytes)> waiting = console.ReadAsync(8, CancellationToken.None);
        Assert.False(waiting.IsCompleted);

        console.Close();

        (ulong offset, byte[] bytes) = await waiting.WaitAsync(Patience);
        Assert.Equal(8ul, offset);
        Assert.Empty(bytes);
    }

    [Fact]
    public async Task Closed_console_still_gives_what_was_not_read()
    {
        var console = new ConsoleScrollback();
        console.Append(0, "abc"u8);
        console.Close();

        (ulong offset, byte[] bytes) = await console.ReadAsync(1, CancellationToken.None).WaitAsync(Patience);
        Assert.Equal(1ul, offset);
        Assert.Equal("bc"u8.ToArray(), bytes);
        Assert.Empty((await console.ReadAsync(3, CancellationToken.None).WaitAsync(Patience)).Bytes);
    }
}
