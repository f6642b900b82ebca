using FtAkka.GuestKit;

namespace FtAkka.VmmHost.Tests.Guests;

/// <summary>
/// A test with a Debian guest. Skipped, with the reason, where the guest's files or the programs it needs are missing; with FTAKKA_CI=1 the files
/// are fetched, and what is missing then is a failure of the test. Heavy tests run with FTAKKA_LONG_TESTS=1 only.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class GuestFactAttribute : FactAttribute
{
    private static readonly bool LongTests = Environment.GetEnvironmentVariable("FTAKKA_LONG_TESTS") == "1";
    private static readonly bool Insist = Environment.GetEnvironmentVariable("FTAKKA_CI") == "1";

    /// <summary>A test that needs these programs on the host besides.</summary>
    public GuestFactAttribute(params string[] programs) => Programs = programs;

    /// <summary>Programs the host must have.</summary>
    public string[] Programs { get; }

    /// <summary>The initramfs it boots.</summary>
    public string Variant { get; init; } = GuestImage.Plain;

    /// <summary>Takes minutes.</summary>
    public bool Long { get; init; }

    /// <summary>Makes TAP interfaces and network namespaces.</summary>
    public bool Tap { get; init; }

    /// <inheritdoc/>
    public override string? Skip
    {
        get => base.Skip ?? Obstacle();
        set => base.Skip = value;
    }

    private string? Obstacle()
    {
        if (Long && !LongTests)
        {
            return "takes minutes: set FTAKKA_LONG_TESTS=1";
        }
        if (Insist)
        {
            return null;
        }
        if (Programs.FirstOrDefault(program => HostProgram.Find(program) is null) is { } missing)
        {
            return $"this host has no {missing}";
        }
        if (Tap && (Environment.UserName != "root" || !File.Exists("/dev/net/tun") || HostProgram.Find("ip") is null))
        {
            return "TAP and network namespaces need root, /dev/net/tun and ip (iproute2)";
        }
        GuestFolder folder = GuestFolder.Default;
        return folder.PreferredKernel is null || !File.Exists(folder.Initramfs(Variant))
            ? $"no Debian guest: run './ftakka guest fetch{GuestImage.FetchArguments(Variant)}'"
            : null;
    }
}
