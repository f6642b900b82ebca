using System.Globalization;
using FtAkka.GuestKit;
using Microsoft.Win32.SafeHandles;

namespace FtAkka.VmmHost.Doctor;

/// <summary>What a guest's network card and multi-host tests need of the host.</summary>
public static class NetworkChecks
{
    private const string TunDevice = "/dev/net/tun";
    private const int CapabilityNetAdmin = 12; // capability.h, CAP_NET_ADMIN
    private const int InterfaceRequestBytes = 40; // struct ifreq: 16 bytes of name, then flags
    private const int InterfaceFlagsOffset = 16;
    private const short TapWithoutPacketInfo = 0x0002 | 0x1000; // IFF_TAP | IFF_NO_PI

    /// <summary>Looks whether a TAP interface can be made, by making one that vanishes at once.</summary>
    public static Finding LookForTap()
    {
        if (!File.Exists(TunDevice))
        {
            return Finding.Missing($"{TunDevice} does not exist");
        }
        using SafeFileHandle tun = File.OpenHandle(TunDevice, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        byte[] request = new byte[InterfaceRequestBytes];
        "ftdoctor%d"u8.CopyTo(request);
        BitConverter.TryWriteBytes(request.AsSpan(InterfaceFlagsOffset), TapWithoutPacketInfo);
        if (NativeCalls.Control(tun, NativeCalls.TunSetInterface, request) != 0)
        {
            string capability = HasNetAdmin() ? "" : " (this process has no CAP_NET_ADMIN)";
            return Finding.Missing($"cannot create an interface: {NativeCalls.LastError()}{capability}");
        }
        return Finding.Ok("TAP interfaces can be created");
    }

    /// <summary>Looks whether programs can be run in a network namespace of their own.</summary>
    public static Finding LookForNamespaces()
    {
        if (HostProgram.Find("unshare") is null)
        {
            return Finding.Missing("no program unshare (util-linux)");
        }
        if (HostProgram.Run("unshare", ["--net", "true"]).ExitCode == 0)
        {
            return Finding.Ok("network namespaces can be made");
        }
        HostProgram.Result asUser = HostProgram.Run("unshare", ["--user", "--map-root-user", "--net", "true"]);
        return asUser.ExitCode == 0
            ? Finding.Ok("network namespaces can be made inside a user namespace")
            : Finding.Missing(asUser.FirstComplaint);
    }

    private static bool HasNetAdmin()
    {
        string? effective = File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith("CapEff:", StringComparison.Ordinal));
        return effective is not null
            && ulong.TryParse(effective.AsSpan("CapEff:".Length).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong bits)
            && ((bits >> CapabilityNetAdmin) & 1) == 1;
    }
}
