using FtAkka.GuestKit;

namespace FtAkka.VmmHost.Tests.Guests;

/// <summary>A network namespace with a TAP interface and an address on it, made by <c>ip</c>; gone when disposed.</summary>
internal sealed class NetworkNamespace : IDisposable
{
    /// <summary>Name of the TAP interface.</summary>
    public const string Tap = "fttap0";

    /// <summary>Address of the host's end, and of the guest's.</summary>
    public const string HostAddress = "10.213.9.1", GuestAddress = "10.213.9.2";

    private readonly string name = $"ftt{Environment.ProcessId}-{Guid.NewGuid():n}"[..20];

    public NetworkNamespace()
    {
        HostCommand.RunChecked("ip", ["netns", "add", name]);
        try
        {
            foreach (string command in new[] { "link set lo up", $"tuntap add {Tap} mode tap", $"addr add {HostAddress}/24 dev {Tap}", $"link set {Tap} up" })
            {
                HostCommand.RunChecked("ip", ["netns", "exec", name, "ip", .. command.Split(' ')]);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What to put before a command to run it in the namespace.</summary>
    public string[] Prefix => ["ip", "netns", "exec", name];

    /// <summary>Runs a shell command in it and gives what it printed.</summary>
    public string Shell(string command) => HostCommand.RunChecked("ip", ["netns", "exec", name, "sh", "-c", command]).Trim();

    /// <inheritdoc/>
    public void Dispose() => HostCommand.Run("ip", ["netns", "delete", name]);
}
