using FtAkka.GuestKit;
using FtAkka.VmmHost.Tests.Guests;

namespace FtAkka.VmmHost.Tests.Recordings;

/// <summary>
/// A test that takes as long as it is told: runs where FTAKKA_SOAK_SECONDS says for how long, and in CI (FTAKKA_CI=1 with FTAKKA_NEED_LINUX=1) for five minutes.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class SoakFactAttribute : FactAttribute
{
    private const int SecondsInCi = 150;

    public SoakFactAttribute()
    {
        if (LoadSeconds == 0)
        {
            Skip = "takes long: set FTAKKA_SOAK_SECONDS, to 3600 for the full soak";
        }
        else if (!InCi && !File.Exists(GuestFolder.Default.Initramfs(GuestImage.Test)))
        {
            Skip = $"no Debian guest with the programs: run './ftakka guest fetch{GuestImage.FetchArguments(GuestImage.Test)}'";
        }
    }

    /// <summary>Seconds of load, by the guest's clock; 0 for none.</summary>
    public static int LoadSeconds => int.TryParse(Environment.GetEnvironmentVariable("FTAKKA_SOAK_SECONDS"), out int seconds) ? seconds : InCi ? SecondsInCi : 0;

    private static bool InCi => Environment.GetEnvironmentVariable("FTAKKA_CI") == "1" && Environment.GetEnvironmentVariable("FTAKKA_NEED_LINUX") == "1";
}
