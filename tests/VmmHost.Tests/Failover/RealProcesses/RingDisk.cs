using System.Globalization;
using System.Text;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>
/// The image that the guest's counter writes: number i in sector i modulo <see cref="Slots"/>. Watched from the host while the guest runs: a number
/// that falls is a write from the past, of a host that had lost the VM.
/// </summary>
internal sealed class RingDisk : IDisposable
{
    /// <summary>Sectors in use.</summary>
    public const int Slots = 64;

    private const int SectorBytes = 512, LineBytes = 16;
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(5);

    private readonly string path;
    private readonly CancellationTokenSource ended = new();
    private readonly Task watching;
    private readonly long[] newest = new long[Slots];

    /// <summary>Makes an empty image and begins to watch it.</summary>
    public RingDisk(string path)
    {
        this.path = path;
        File.WriteAllBytes(path, new byte[1 << 20]);
        watching = Task.Run(WatchAsync);
    }

    /// <summary>What was wrong first; null if nothing was.</summary>
    public string? Fault { get; private set; }

    /// <summary>How often all sectors were read.</summary>
    public int Looks { get; private set; }

    /// <summary>Ends the watch, and checks that each number that was printed is there unless a later one has its place.</summary>
    /// <returns>What is wrong; null if nothing is.</returns>
    public async Task<string?> EndAsync(int printed)
    {
        await ended.CancelAsync();
        await watching;
        Look();
        for (int number = Math.Max(1, printed - Slots + 1); Fault is null && number <= printed; number++)
        {
            long there = newest[number % Slots];
            if (there != number && there != number + Slots)
            {
                Fault = $"number {number} was printed, and its sector holds {there}";
            }
        }
        return Fault;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        ended.Cancel();
        watching.Wait();
        ended.Dispose();
    }

    private async Task WatchAsync()
    {
        while (!ended.IsCancellationRequested && Fault is null)
        {
            Look();
            await Task.WhenAny(Task.Delay(Interval, ended.Token));
        }
    }

    private void Look()
    {
        byte[] image = new byte[Slots * SectorBytes];
        using (var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite))
        {
            file.ReadExactly(image);
        }
        Looks++;
        for (int slot = 0; slot < Slots; slot++)
        {
            Check(slot, image.AsSpan(slot * SectorBytes, SectorBytes));
        }
    }

    private void Check(int slot, ReadOnlySpan<byte> sector)
    {
        if (sector.IndexOfAnyExcept((byte)0) < 0 && newest[slot] == 0)
        {
            return;
        }
        long number = ParseLine(sector);
        for (int at = LineBytes; at < SectorBytes; at += LineBytes)
        {
            if (ParseLine(sector[at..]) != number)
            {
                // A look may meet a write half way; the next one must find it whole.
                return;
            }
        }
        if (number % Slots != slot || number < newest[slot])
        {
            Fault ??= $"sector {slot} holds {number} after {newest[slot]}";
        }
        newest[slot] = number;
    }

    private static long ParseLine(ReadOnlySpan<byte> line) =>
        long.TryParse(Encoding.ASCII.GetString(line[..(LineBytes - 1)]), NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : -1;
}
