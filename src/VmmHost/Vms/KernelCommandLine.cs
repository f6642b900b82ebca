namespace FtAkka.VmmHost.Vms;

/// <summary>The kernel's command line: what the platform needs, then what the user wants.</summary>
internal static class KernelCommandLine
{
    /// <summary>
    /// Serial console; reboot by the ACPI reset register, since the way through the BIOS needs real mode; and reboot after a panic, as a warm boot, by
    /// which the machine tells it from an orderly one (Linux 5.2 or later).
    /// </summary>
    private static readonly string[] Defaults = ["console=ttyS0", "reboot=a,panic_warm", "panic=-1"];

    /// <summary>Joins the defaults the user has not set otherwise with the user's words.</summary>
    public static string Compose(string append)
    {
        string[] words = append.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        IEnumerable<string> defaults = Defaults.Where(word => !words.Any(other => KeyOf(other) == KeyOf(word)));
        return string.Join(' ', [.. defaults, .. append.Length > 0 ? new[] { append.Trim() } : []]);
    }

    private static string KeyOf(string word) => word.Split('=', 2)[0];
}
