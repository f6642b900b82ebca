using System.Globalization;
using FtAkka.GuestKit;

namespace FtAkka.VmmHost.Demo;

/// <summary>
/// A TAP interface that outlives the process that uses it, as a bridge's port would, with an address of the host on it. Removed when disposed.
/// </summary>
internal sealed class DemoNetwork : IDisposable
{
    private readonly string subnet = string.Create(CultureInfo.InvariantCulture, $"10.213.{20 + (Environment.ProcessId % 200)}");

    private DemoNetwork()
    {
    }

    /// <summary>Name of the interface.</summary>
    public string Tap { get; } = string.Create(CultureInfo.InvariantCulture, $"ftd{Environment.ProcessId % 10_000_000}");

    /// <summary>Address of the guest.</summary>
    public string GuestAddress => $"{subnet}.2";

    /// <summary>Makes it, or says why it cannot be made.</summary>
    public static DemoNetwork? TryCreate(Action<string> say)
    {
        var network = new DemoNetwork();
        try
        {
            foreach (string command in new[] { $"tuntap add dev {network.Tap} mode tap", $"addr add {network.subnet}.1/24 dev {network.Tap}", $"link set {network.Tap} up" })
            {
                HostCommand.RunChecked("ip", command.Split(' '));
            }
            return network;
        }
        catch (Exception refused) when (refused is GuestKitException or System.ComponentModel.Win32Exception or IOException)
        {
            network.Dispose();
            say($"no TCP transfer: a TAP interface cannot be made here ({refused.Message.Split('\n')[0]})");
            return null;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            HostCommand.Run("ip", ["link", "delete", Tap]);
        }
        catch (Exception gone) when (gone is GuestKitException or System.ComponentModel.Win32Exception or IOException)
        {
            // There is no ip(8): then there is no interface either.
        }
    }
}
