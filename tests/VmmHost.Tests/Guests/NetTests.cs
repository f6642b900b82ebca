using System.Globalization;
using FtAkka.GuestKit;
using FtAkka.LinuxBench;
using FtAkka.VmmHost.Cli;
using Xunit.Abstractions;

namespace FtAkka.VmmHost.Tests.Guests;

/// <summary>TCP/IP over virtio-net: with the host through TAP in a network namespace, and with other VMs through a unix socket.</summary>
[Collection(GuestTestCollection.Name)]
public sealed class NetTests : IDisposable
{
    /// <summary>A web server that gives the data and hashes what it is sent, until it is told to stop.</summary>
    private const string WebServer = """
        set -e
        mkdir -p /tmp/www/cgi-bin
        printf '#!/bin/sh\necho\nsha256sum\n' > /tmp/www/cgi-bin/hash
        printf '#!/bin/sh\ntouch /tmp/stop\necho\n' > /tmp/www/cgi-bin/stop
        chmod 755 /tmp/www/cgi-bin/*
        ftproof data MEGABYTES > /tmp/www/data
        httpd -h /tmp/www
        echo SERVING
        while [ ! -e /tmp/stop ]; do sleep 1; done
        """;

    private readonly TemporaryFolder folder = new(Path.GetTempPath());
    private readonly ITestOutputHelper log;

    public NetTests(ITestOutputHelper log) => this.log = log;

    public void Dispose() => folder.Dispose();

    [GuestFact("gcc", "curl", Tap = true)]
    public void Hundred_MiB_each_way_over_TAP()
    {
        const int Megabytes = 100;
        using var network = new NetworkNamespace();
        string image = GuestImage.Write(
            folder.Path, GuestImage.Plain,
            "ping -c 5 -i 0.1 " + NetworkNamespace.HostAddress + " | grep packets\n" + WebServer.Replace("MEGABYTES", $"{Megabytes}", StringComparison.Ordinal));
        string data = Path.Combine(folder.Path, "data");
        string hash = network.Shell($"'{GuestImage.ProofProgram}' data {Megabytes} > '{data}' && sha256sum < '{data}'");
        using GuestProcess guest = GuestProcess.StartFtAkka(
            [.. GuestProcess.Boot(image, "512M", $"ftakka.ip={NetworkNamespace.GuestAddress}/24"), "--net", $"tap:{NetworkNamespace.Tap}"], network.Prefix);
        guest.WaitFor("SERVING");

        const string Server = "http://" + NetworkNamespace.GuestAddress;
        Assert.Equal(hash, network.Shell($"curl -sS -w '%{{speed_download}} B/s down\\n' -o '{data}.down' {Server}/data > '{data}.log' && sha256sum < '{data}.down'"));
        Assert.Equal(hash, network.Shell($"curl -sS -H 'Content-Type: x/y' -H Expect: --data-binary '@{data}' {Server}/cgi-bin/hash"));
        log.WriteLine(File.ReadAllText(data + ".log"));
        network.Shell($"curl -sS {Server}/cgi-bin/stop");
        Assert.True(guest.End(GuestProcess.Patience) == ExitCode.Ok, guest.Story());
        Assert.Contains("5 packets transmitted, 5 packets received, 0% packet loss", guest.Output);
    }

    [GuestFact(Variant = GuestImage.Test, Long = true)]
    public void Two_VMs_measure_their_link_with_iperf3()
    {
        string socket = Path.Combine(folder.Path, "link");
        string server = GuestImage.Write(folder.Path, GuestImage.Test, "iperf3 -s -1; iperf3 -s -1", withProof: false);
        string client = GuestImage.Write(folder.Path, GuestImage.Test, $"""
            until ping -c 1 -W 1 {NetworkNamespace.HostAddress} > /dev/null; do sleep 1; done
            for way in '' -R; do
                until iperf3 -c {NetworkNamespace.HostAddress} -t 5 $way > /tmp/log 2>&1; do sleep 1; done
                grep receiver /tmp/log
            done
            """, withProof: false);
        using GuestProcess listening = GuestProcess.StartFtAkka(
            [.. GuestProcess.Boot(server, "1G", $"ftakka.ip={NetworkNamespace.HostAddress}/24"), "--net", $"unix:{socket},mac=52:54:00:00:00:01,listen"]);
        using GuestProcess calling = GuestProcess.StartFtAkka(
            [.. GuestProcess.Boot(client, "1G", $"ftakka.ip={NetworkNamespace.GuestAddress}/24"), "--net", $"unix:{socket},mac=52:54:00:00:00:02"]);

        Assert.True(calling.End(GuestProcess.Patience) == ExitCode.Ok, calling.Story() + listening.Story());

        string[] figures = [.. calling.Output.Where(line => line.EndsWith("receiver", StringComparison.Ordinal))];
        Array.ForEach(figures, log.WriteLine);
        Assert.Equal(2, figures.Length);
        Assert.All(figures, line => Assert.Matches("[1-9][0-9.]* [KMG]bits/sec", line));
        Assert.True(listening.End(GuestProcess.Patience) == ExitCode.Ok, listening.Story());
    }

    [GuestFact("gcc", QemuGuest.Program)]
    public void Guest_of_QEMU_fetches_over_its_stream_socket()
    {
        const int Megabytes = 2;
        string socket = Path.Combine(folder.Path, "link");
        string server = GuestImage.Write(folder.Path, GuestImage.Plain, WebServer.Replace("MEGABYTES", $"{Megabytes}", StringComparison.Ordinal));
        string client = GuestImage.Write(folder.Path, GuestImage.Plain, $"""
            until wget -q -O /tmp/data http://{NetworkNamespace.HostAddress}/data; do sleep 1; done
            sha256sum < /tmp/data
            wget -q -O - http://{NetworkNamespace.HostAddress}/cgi-bin/stop
            """, withProof: false);
        string hash = HostCommand.RunChecked("sh", ["-c", $"'{GuestImage.ProofProgram}' data {Megabytes.ToString(CultureInfo.InvariantCulture)} | sha256sum"]).Trim();
        using GuestProcess ours = GuestProcess.StartFtAkka(
            [.. GuestProcess.Boot(server, "256M", $"ftakka.ip={NetworkNamespace.HostAddress}/24"), "--net", $"unix:{socket},listen"]);
        ours.WaitFor("SERVING");
        using GuestProcess qemus = GuestProcess.Start(
        [
            QemuGuest.Program,
            .. QemuGuest.Arguments(
                QemuMode.Tcg, GuestImage.Kernel, client, $"{GuestImage.KernelArguments} ftakka.ip={NetworkNamespace.GuestAddress}/24", disk: null, memoryMiB: 256),
            "-netdev", $"stream,id=n0,addr.type=unix,addr.path={socket}", "-device", "virtio-net-device,netdev=n0,mac=52:54:00:00:00:02",
        ]);
        qemus.End(GuestProcess.Patience);
        Assert.True(ours.End(GuestProcess.Patience) == ExitCode.Ok, ours.Story() + qemus.Story());
        Assert.Contains(hash, qemus.Output);
    }
}
