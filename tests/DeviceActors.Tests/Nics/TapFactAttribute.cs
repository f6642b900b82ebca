using FtAkka.DeviceActors.Nics;

namespace FtAkka.DeviceActors.Tests.Nics;

/// <summary>A test that needs to make a TAP interface; skipped, with the reason, where the host does not let it.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class TapFactAttribute : FactAttribute
{
    private static readonly string? Obstacle = Probe();

    public TapFactAttribute() => Skip = Obstacle;

    private static string? Probe()
    {
        if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, "ip"))))
        {
            return "The ip tool (iproute2) is not installed.";
        }
        try
        {
            using var tap = new TestTap();
            using TapLink link = TapLink.Open(tap.Name);
            return null;
        }
        catch (Exception error) when (error is IOException or InvalidOperationException)
        {
            return $"No TAP interface can be made here: {error.Message}";
        }
    }
}
