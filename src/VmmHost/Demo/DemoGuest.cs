using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.GuestKit;

namespace FtAkka.VmmHost.Demo;

/// <summary>
/// The demo's guest: Debian's kernel with the initramfs of <c>guest fetch</c>, and a shell script that counts on the console and writes each number
/// to a sector of its disk, with a checksum, before it prints it.
/// </summary>
internal static class DemoGuest
{
    /// <summary>Starts a line of the counter.</summary>
    public const string Mark = "COUNT ";

    private const int SectorBytes = 512;
    private const int ImageBytes = 16 << 20;

    /// <summary>Records on the disk.</summary>
    public const int RecordsMax = ImageBytes / SectorBytes;

    /// <summary>
    /// dd with conv=fsync asks for each sector to be on the disk before it ends: a number that was printed is a record that must be there.
    /// </summary>
    private static readonly string Script = string.Join('\n',
        "i=0",
        "while true; do",
        "  i=$((i+1))",
        "  s=$(printf '%08d' $i | sha256sum)",
        "  printf '%08d %.64s\\n' $i \"$s\" | dd of=/dev/vda bs=512 seek=$i conv=sync,notrunc,fsync 2>/tmp/e || echo DISK-ERROR $i $(cat /tmp/e)",
        $"  echo \"{Mark}$i\"",
        "  sleep 0.02",
        "done");

    /// <summary>Fetches the guest's files if they are not there yet.</summary>
    /// <exception cref="CommandFailedException">They cannot be fetched; the message says why and what to do.</exception>
    public static void Obtain(GuestFolder folder, Action<string> progress)
    {
        if (folder.PreferredKernel is not null && File.Exists(folder.Initramfs()))
        {
            return;
        }
        progress("fetching Debian's kernel and busybox, once");
        try
        {
            new GuestFetch(new GuestFetchOptions { Folder = folder }, progress).Run();
        }
        catch (GuestKitException failure)
        {
            throw new CommandFailedException($"The demo's Linux guest cannot be fetched. {failure.Message}");
        }
    }

    /// <summary>Writes disk and VM file into a folder.</summary>
    /// <returns>Paths of the VM file and of the disk.</returns>
    public static (string File, string Disk) Write(string folder)
    {
        string disk = Path.Combine(folder, "demo.raw");
        using (FileStream image = File.Create(disk))
        {
            image.SetLength(ImageBytes);
        }
        string file = Path.Combine(folder, "demo.hocon");
        File.WriteAllText(file, $$"""
            name = demo
            memory = 128M
            disks = [ "{{disk}}" ]
            append = "quiet ftakka.run64={{Convert.ToBase64String(Encoding.ASCII.GetBytes(Script))}}"
            """);
        return (file, disk);
    }

    /// <summary>Checks that the records 1 to <paramref name="printed"/> are on the disk, whole.</summary>
    /// <returns>Null, or what is wrong.</returns>
    public static string? CheckDisk(string disk, int printed)
    {
        byte[] sector = new byte[SectorBytes];
        using FileStream image = new(disk, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        for (int i = 1; i <= printed && i < RecordsMax; i++)
        {
            image.Position = (long)i * SectorBytes;
            image.ReadExactly(sector);
            string number = i.ToString("D8", CultureInfo.InvariantCulture);
            string hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Encoding.ASCII.GetBytes(number)));
            if (Encoding.ASCII.GetString(sector, 0, 73) != $"{number} {hash}")
            {
                return $"Record {i} was printed and is not whole on the disk.";
            }
        }
        return null;
    }
}

/// <summary>Reads the counter from the console and notes what is wrong with it.</summary>
internal sealed class DemoCounter
{
    private readonly StringBuilder line = new();
    private readonly Lock sync = new();
    private int last;
    private string? fault;
    private readonly List<(int Number, double Milliseconds)> seen = [];

    /// <summary>The newest number.</summary>
    public int Last
    {
        get
        {
            lock (sync)
            {
                return last;
            }
        }
    }

    /// <summary>What was wrong first: a gap, a repetition, an error of the guest; null if nothing.</summary>
    public string? Fault
    {
        get
        {
            lock (sync)
            {
                return fault;
            }
        }
    }

    /// <summary>Takes console bytes.</summary>
    /// <param name="bytes">In order.</param>
    /// <param name="now">Monotonic clock, milliseconds.</param>
    public void Take(ReadOnlySpan<byte> bytes, double now)
    {
        lock (sync)
        {
            foreach (byte value in bytes)
            {
                if (value != '\n')
                {
                    line.Append((char)value);
                    continue;
                }
                TakeLine(line.ToString().TrimEnd('\r'), now);
                line.Clear();
            }
        }
    }

    /// <summary>The longest time between two numbers that followed on one another around <paramref name="moment"/> (monotonic clock, milliseconds).</summary>
    public double LongestGapAround(double moment)
    {
        lock (sync)
        {
            double longest = 0;
            for (int i = 1; i < seen.Count; i++)
            {
                if (seen[i].Milliseconds >= moment)
                {
                    longest = Math.Max(longest, seen[i].Milliseconds - Math.Max(seen[i - 1].Milliseconds, moment));
                    if (seen[i].Milliseconds > moment + 10_000)
                    {
                        break;
                    }
                }
            }
            return longest;
        }
    }

    private void TakeLine(string text, double now)
    {
        if (text.StartsWith("DISK-ERROR", StringComparison.Ordinal))
        {
            fault ??= text;
        }
        if (!text.StartsWith(DemoGuest.Mark, StringComparison.Ordinal)
            || !int.TryParse(text.AsSpan(DemoGuest.Mark.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int number))
        {
            return;
        }
        if (number != last + 1)
        {
            fault ??= $"The console showed {number} after {last}.";
        }
        last = number;
        seen.Add((number, now));
    }
}
