using FtAkka.GuestKit;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>
/// Hosts as namespaces: each has a bridge with a TAP interface for the guest and a cable to a common switch, on which a client sits, and another
/// cable to a switch that carries the nodes' wire only. Cables can be pulled. Gone when disposed.
/// </summary>
internal sealed class PairNetwork : IDisposable
{
    /// <summary>Name of the TAP interface on each host.</summary>
    public const string Tap = "fttap0";

    /// <summary>Address of the client, and of the guest.</summary>
    public const string ClientAddress = "10.213.9.1", GuestAddress = "10.213.9.2";

    private readonly string id = $"ftp{Environment.ProcessId}{Guid.NewGuid():n}"[..12];
    private readonly IReadOnlyList<string> hosts;

    public PairNetwork(IReadOnlyList<string> hosts)
    {
        this.hosts = hosts;
        try
        {
            Ip("netns", "add", Lan);
            foreach (string bridge in new[] { "lan", "log" })
            {
                Quiet(Lan);
                Ip("-n", Lan, "link", "add", bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0");
                Ip("-n", Lan, "link", "set", bridge, "up");
            }
            Ip("-n", Lan, "addr", "add", $"{ClientAddress}/24", "dev", "lan");
            Ip("-n", Lan, "link", "set", "lo", "up");
            foreach (string host in hosts)
            {
                Add(host);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    private string Lan => id + "lan";

    /// <summary>What to put before a command to run it on a host.</summary>
    public string[] On(string host) => ["ip", "netns", "exec", id + host];

    /// <summary>What to put before a command to run it at the client.</summary>
    public string[] AtClient => ["ip", "netns", "exec", Lan];

    /// <summary>Address of a host on the wire's switch.</summary>
    public string WireAddress(string host) => $"10.213.10.{hosts.ToList().IndexOf(host) + 1}";

    /// <summary>Pulls a host's cable out of the wire's switch: packets are lost both ways, and nobody is told.</summary>
    public void CutWire(string host) => Ip("-n", Lan, "link", "set", "log" + host, "nomaster");

    /// <summary>Puts it back.</summary>
    public void HealWire(string host) => Ip("-n", Lan, "link", "set", "log" + host, "master", "log");

    /// <summary>Takes the guest's network away from the client and from every host, for good.</summary>
    public void CutClient() => Ip("-n", Lan, "link", "set", "lan", "down");

    /// <summary>Packets from one host to another are lost on the wire; the other way they are not.</summary>
    public void CutOneWay(string from, string to) => Ip("-n", id + from, "neigh", "replace", WireAddress(to), "lladdr", "02:00:00:00:00:77", "dev", "log0");

    /// <summary>Ends that.</summary>
    public void HealOneWay(string from, string to) => Ip("-n", id + from, "neigh", "del", WireAddress(to), "dev", "log0");

    /// <summary>Frames that the node on a host has written to its TAP interface since it was made.</summary>
    public long FramesSentBy(string host) => long.Parse(
        HostCommand.RunChecked("ip", ["netns", "exec", id + host, "cat", $"/sys/class/net/{Tap}/statistics/rx_packets"]).Trim(), System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>TCP connections of the client that were reset, or given up, so far.</summary>
    public int ClientConnectionsReset()
    {
        // Two lines that begin with "Tcp:", names and values.
        string[][] lines = [.. HostCommand.RunChecked("ip", ["netns", "exec", Lan, "cat", "/proc/net/snmp"]).Split('\n')
            .Where(line => line.StartsWith("Tcp:", StringComparison.Ordinal)).Select(line => line.Split(' '))];
        return int.Parse(lines[1][Array.IndexOf(lines[0], "EstabResets")], System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (string name in hosts.Select(host => id + host).Append(Lan))
        {
            HostCommand.Run("ip", ["netns", "delete", name]);
        }
    }

    private void Add(string host)
    {
        string space = id + host;
        Ip("netns", "add", space);
        Quiet(space);
        foreach (string kind in new[] { "lan", "log" })
        {
            Ip("link", "add", kind + host, "netns", Lan, "type", "veth", "peer", "name", kind + "0", "netns", space);
            Ip("-n", Lan, "link", "set", kind + host, "master", kind, "up");
            Ip("-n", space, "link", "set", kind + "0", "up");
        }
        Ip("-n", space, "link", "set", "lo", "up");
        Ip("-n", space, "addr", "add", $"{WireAddress(host)}/24", "dev", "log0");
        Ip("-n", space, "tuntap", "add", Tap, "mode", "tap");
        Ip("-n", space, "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0");
        foreach (string port in new[] { Tap, "lan0" })
        {
            Ip("-n", space, "link", "set", port, "master", "br0", "up");
        }
        Ip("-n", space, "link", "set", "br0", "up");
    }

    /// <summary>Without IPv6 the only frames are those of the guest and its client.</summary>
    private static void Quiet(string space) =>
        HostCommand.RunChecked("ip", ["netns", "exec", space, "sh", "-c", "[ ! -e /proc/sys/net/ipv6 ] || echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"]);

    private static void Ip(params string[] arguments) => HostCommand.RunChecked("ip", arguments);
}
