using System.Collections.Immutable;
using FtAkka.Machine.Acpi;
using FtAkka.Machine.Events;
using FtAkka.Machine.Plugged;
using FtAkka.Machine.Virtio;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Console;
using FtAkka.Machine.Virtio.Net;
using FtAkka.Machine.Virtio.Rng;

namespace FtAkka.Machine;

/// <summary>The virtio devices and where their effects go.</summary>
public sealed partial class GuestMachine
{
    private readonly List<IPluggedDevice> plugged = [];

    /// <summary>
    /// Disk requests that have left the machine and whose completion has not been delivered, by disk and in order of submission: what a replica that
    /// goes live issues again.
    /// </summary>
    public IEnumerable<(int Disk, DiskRequest Request)> OutstandingDiskRequests =>
        plugged.OfType<PluggedDisk>().SelectMany(disk => disk.Outstanding.Select(request => (disk.Index, request)));

    private void PlugDevices()
    {
        for (var i = 0; i < config.Disks.Length; i++)
        {
            var disk = i;
            var model = new VirtioBlkDevice(config.Disks[i], new DiskSink(request => effects.Add(new DiskRequested(cpu.Icount, disk, request))));
            Plug(transport => new PluggedDisk(disk, model, transport), model);
        }
        for (var i = 0; i < config.Nics.Length; i++)
        {
            var nic = i;
            var model = new VirtioNetDevice(config.Nics[i], new NetSink(frames => effects.Add(new NetTransmit(cpu.Icount, nic, frames))));
            Plug(transport => new PluggedNic(nic, model, transport), model);
        }
        if (config.Entropy)
            Plug(transport => new PluggedEntropy(transport), new VirtioRngDevice(ChaChaGenerator.FromSeed(config.RngSeed)));
        if (config.VirtioConsole)
        {
            var model = new VirtioConsoleDevice(new ConsoleSink(bytes => SendConsole(ConsoleKind.Virtio, bytes)));
            Plug(transport => new PluggedConsole(model, transport), model);
        }
    }

    private void Plug(Func<VirtioMmioDevice, IPluggedDevice> create, VirtioModel model)
    {
        var window = VirtioWindow.At(plugged.Count);
        var device = create(new VirtioMmioDevice(model, Memory, ioApic.Line(window.Gsi)));
        mmio.Add(window.BaseAddress, window.SizeBytes, device);
        plugged.Add(device);
    }

    private sealed class DiskSink(Action<DiskRequest> submit) : IDiskRequestSink
    {
        public void Submit(DiskRequest request) => submit(request);
    }

    private sealed class NetSink(Action<ImmutableArray<ImmutableArray<byte>>> transmit) : INetTransmitSink
    {
        public void Transmit(ImmutableArray<ImmutableArray<byte>> frames) => transmit(frames);
    }

    private sealed class ConsoleSink(Action<ImmutableArray<byte>> output) : IConsoleOutputSink
    {
        public void Output(ReadOnlySpan<byte> bytes) => output([.. bytes]);
    }
}
