using System.Collections.Immutable;
using System.Net.NetworkInformation;
using FtAkka.DeviceActors.Fencing;
using FtAkka.DeviceActors.Nics;

namespace FtAkka.DeviceActors.Tests.Nics;

/// <summary>Frames through a real TAP interface.</summary>
public sealed class TapLinkTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public void Name_that_is_too_long_is_refused() =>
        Assert.ThrowsAny<IOException>(() => TapLink.Open("sixteen-letters-"));

    [TapFact]
    public void Interface_outlives_the_link()
    {
        using var tap = new TestTap();
        using (TapLink link = TapLink.Open(tap.Name))
        {
            Assert.Equal(tap.Name, link.Name);
        }
        Assert.Contains(NetworkInterface.GetAllNetworkInterfaces(), i => i.Name == tap.Name);
        TapLink.Open(tap.Name).Dispose();
    }

    [TapFact]
    public void Interface_that_is_no_TAP_is_refused_with_the_commands_that_make_one()
    {
        IOException error = Assert.ThrowsAny<IOException>(() => TapLink.Open("lo"));
        Assert.Contains("'lo'", error.Message, StringComparison.Ordinal);
        Assert.Contains("ip tuntap add", error.Message, StringComparison.Ordinal);
    }

    [TapFact]
    public void Interface_in_use_is_refused_with_the_reason()
    {
        using var tap = new TestTap();
        using TapLink link = TapLink.Open(tap.Name);
        IOException error = Assert.ThrowsAny<IOException>(() => TapLink.Open(link.Name));
        Assert.Contains(link.Name, error.Message, StringComparison.Ordinal);
    }

    [TapFact]
    public async Task Kernel_answers_an_ARP_request_sent_through_the_link()
    {
        using var tap = new TestTap();
        using TapLink link = TapLink.Open(tap.Name);
        TestTap.Ip($"addr add 10.213.7.1/24 dev {link.Name}");
        TestTap.Ip($"link set {link.Name} up");
        byte[] mac = [2, 0, 0, 0, 0, 7];
        byte[] request =
        [
            0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, .. mac, 8, 6,
            0, 1, 8, 0, 6, 4, 0, 1, .. mac, 10, 213, 7, 2, 0, 0, 0, 0, 0, 0, 10, 213, 7, 1, .. new byte[18],
        ];
        Assert.Equal(1, await link.SendAsync([[.. request]]));
        ImmutableArray<byte> reply = [];
        for (int i = 0; i < 50 && reply.IsEmpty; i++)   // the kernel also says hello on its own (IPv6)
        {
            LinkInput input = await link.ReceiveAsync().WaitAsync(Patience);
            Assert.False(input.Frames.IsEmpty);
            reply = input.Frames.FirstOrDefault(f => f.Length >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 2, []);
        }
        Assert.Equal(mac, reply[..6].ToArray());
        Assert.Equal([10, 213, 7, 1], reply[28..32].ToArray());
    }

    [TapFact]
    public async Task Closing_cancels_a_receive_and_frames_to_a_downed_interface_are_dropped()
    {
        using var tap = new TestTap();
        TapLink link = TapLink.Open(tap.Name);
        Assert.Equal(0, await link.SendAsync([[.. new byte[60]]]));
        Task<LinkInput> receive = link.ReceiveAsync();
        link.Dispose();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => receive.WaitAsync(Patience));
    }

    [TapFact]
    public async Task Frames_are_held_at_the_fence_and_leave_when_it_opens()
    {
        bool open = false;
        var fence = new Fence(() => Volatile.Read(ref open));
        using var tap = new TestTap();
        using TapLink link = TapLink.Open(tap.Name, fence);
        TestTap.Ip($"link set {link.Name} up");
        string counter = $"/sys/class/net/{link.Name}/statistics/rx_packets";   // what we send, the host receives
        Task<int> sending = link.SendAsync([[.. new byte[60]], [.. new byte[60]]]);
        await Task.Delay(50);
        Assert.False(sending.IsCompleted);
        Assert.Equal("0", File.ReadAllText(counter).Trim());

        Volatile.Write(ref open, true);
        fence.Moved();
        Assert.Equal(2, await sending.WaitAsync(Patience));
        Assert.Equal("2", File.ReadAllText(counter).Trim());
    }
}
