using System.Collections.Immutable;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Console;
using FtAkka.Machine.Virtio.Net;

namespace FtAkka.Machine.Tests.Virtio;

/// <summary>Keeps every effect of a device in order.</summary>
internal sealed class RecordingSinks : IDiskRequestSink, INetTransmitSink, IConsoleOutputSink
{
    public List<DiskRequest> Requests { get; } = [];

    public List<ImmutableArray<ImmutableArray<byte>>> Batches { get; } = [];

    public List<byte> ConsoleBytes { get; } = [];

    public void Submit(DiskRequest request) => Requests.Add(request);

    public void Transmit(ImmutableArray<ImmutableArray<byte>> frames) => Batches.Add(frames);

    public void Output(ReadOnlySpan<byte> bytes) => ConsoleBytes.AddRange(bytes);
}
