using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using FtAkka.GuestKit;
using FtAkka.TinyGuests;

namespace FtAkka.VmmHost.Demo;

/// <summary>A guest that counts on its console, and has each number on its disk before it prints it.</summary>
internal abstract class DemoGuest
{
    protected const int SectorBytes = 512;
    protected const int ImageBytes = 16 << 20;

    /// <summary>For people.</summary>
    public abstract string Name { get; }

    /// <summary>Whether it can serve a file over the network.</summary>
    public virtual bool HasNetwork => false;

    /// <summary>
    /// Debian's kernel and busybox, fetched if they are not there yet; where they cannot be had, the tiny guest of this program, and it is said so.
    /// </summary>
    public static DemoGuest Obtain(GuestFolder folder, bool tiny, Action<string> progress)
    {
        if (tiny)
        {
            return new TinyDemoGuest();
        }
        if (folder.PreferredKernel is null || !File.Exists(folder.Initramfs()))
        {
            progress("fetching Debian's kernel and busybox, once");
            try
            {
                new GuestFetch(new GuestFetchOptions { Folder = folder }, progress).Run();
            }
            catch (GuestKitException failure)
            {
                progress($"Debian's guest cannot be fetched ({failure.Message}): the demo runs the tiny guest instead, which is no Linux");
                return new TinyDemoGuest();
            }
        }
        return new DebianDemoGuest(folder);
    }

    /// <summary>Writes disk and VM file into a folder.</summary>
    /// <returns>Paths of the VM file and of the disk.</returns>
    public (string File, string Disk) Write(string folder, DemoNetwork? network)
    {
        string disk = Path.Combine(folder, "demo.raw");
        using (FileStream image = File.Create(disk))
        {
            image.SetLength(ImageBytes);
        }
        string file = Path.Combine(folder, "demo.hocon");
        File.WriteAllText(file, $"name = demo\ndisks = [ \"{disk}\" ]\n{(network is null ? "" : $"nics = [ \"tap:{network.Tap}\" ]\n")}{Describe(folder, network)}\n");
        return (file, disk);
    }

    /// <summary>The rest of the VM file.</summary>
    protected abstract string Describe(string folder, DemoNetwork? network);

    /// <summary>The number that a line of the console counts, from 1 on; null if it counts none.</summary>
    public abstract int? NumberOf(string line);

    /// <summary>Checks that everything printed is on the disk, whole.</summary>
    /// <returns>Null, or what is wrong.</returns>
    public abstract string? CheckDisk(string disk, int printed);
}

/// <summary>
/// Debian's kernel with the initramfs of <c>guest fetch</c>, and a shell script that counts on the console and writes each number
/// to a sector of its disk, with a checksum, before it prints it. A web server gives numbered blocks without end.
/// </summary>
internal sealed class DebianDemoGuest(GuestFolder kit) : DemoGuest
{
    private const string Mark = "COUNT ";

    /// <summary>
    /// dd with conv=fsync asks for each sector to be on the disk before it ends: a number that was printed is a record that must be there.
    /// </summary>
    private static readonly string Counter = string.Join('\n',
        "i=0",
        "while true; do",
        "  i=$((i+1))",
        "  s=$(printf '%08d' $i | sha256sum)",
        "  printf '%08d %.64s\\n' $i \"$s\" | dd of=/dev/vda bs=512 seek=$i conv=sync,notrunc,fsync 2>/tmp/e || echo DISK-ERROR $i $(cat /tmp/e)",
        $"  echo \"{Mark}$i\"",
        "  sleep 0.02",
        "done");

    private static readonly string Server = string.Join('\n',
        "mkdir -p /tmp/www/cgi-bin",
        "cat > /tmp/www/cgi-bin/feed <<'END'",
        "#!/bin/sh",
        "echo; i=0",
        $"x=$(printf '%{DemoTransfer.BlockBytes - 10}s' | tr ' ' x)",
        "while true; do i=$((i+1)); printf '%08d %s\\n' $i $x; sleep 0.01; done",
        "END",
        "chmod 755 /tmp/www/cgi-bin/feed",
        "httpd -h /tmp/www",
        "");

    /// <inheritdoc/>
    public override string Name => $"Debian Linux, {Path.GetFileName(kit.PreferredKernel)}";

    /// <inheritdoc/>
    public override bool HasNetwork => true;

    /// <inheritdoc/>
    protected override string Describe(string folder, DemoNetwork? network)
    {
        string script = (network is null ? "" : Server) + Counter;
        string address = network is null ? "" : $" ftakka.ip={network.GuestAddress}/24";
        return $"memory = 128M\nappend = \"quiet{address} ftakka.run64={Convert.ToBase64String(Encoding.ASCII.GetBytes(script))}\"";
    }

    /// <inheritdoc/>
    public override int? NumberOf(string line) =>
        line.StartsWith(Mark, StringComparison.Ordinal) && int.TryParse(line.AsSpan(Mark.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;

    /// <inheritdoc/>
    public override string? CheckDisk(string disk, int printed)
    {
        byte[] sector = new byte[SectorBytes];
        using FileStream image = new(disk, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        for (int i = 1; i <= printed && i < ImageBytes / SectorBytes; i++)
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

/// <summary>The tiny guest of this program, which needs nothing from elsewhere: its journal writes a record to the disk before it prints its number.</summary>
internal sealed class TinyDemoGuest : DemoGuest
{
    private const string Mark = "journal ";
    private const int Seed = 7;

    /// <inheritdoc/>
    public override string Name => "the tiny guest (no Linux)";

    /// <inheritdoc/>
    protected override string Describe(string folder, DemoNetwork? network)
    {
        string kernel = Path.Combine(folder, "tiny.elf");
        File.WriteAllBytes(kernel, TinyGuest.Kernel);
        return string.Create(CultureInfo.InvariantCulture,
            $"memory = 16M\nkernel = \"{kernel}\"\nappend = \"workload=journal records={(ImageBytes / SectorBytes) - 1} seed={Seed} pause=20000000\"");
    }

    /// <inheritdoc/>
    public override int? NumberOf(string line) =>
        line.StartsWith(Mark, StringComparison.Ordinal) && line.Length > Mark.Length + 16
            && int.TryParse(line.AsSpan(Mark.Length, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int number) ? number + 1 : null;

    /// <inheritdoc/>
    public override string? CheckDisk(string disk, int printed)
    {
        byte[] bytes = new byte[printed * JournalRecord.SizeBytes];
        using (FileStream image = new(disk, FileMode.Open, FileAccess.Read, FileShare.ReadWrite))
        {
            image.ReadExactly(bytes);
        }
        int good = JournalRecord.CountGood(bytes, Seed);
        return good == printed ? null : $"Record {good + 1} was printed and is not whole on the disk.";
    }
}

/// <summary>Reads the counter from the console and notes what is wrong with it.</summary>
internal sealed class DemoCounter(DemoGuest guest)
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
        if (guest.NumberOf(text) is not { } number)
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
