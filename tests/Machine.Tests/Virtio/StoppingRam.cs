using FtAkka.Cpu.Memory;

namespace FtAkka.Machine.Tests.Virtio;

/// <summary>Flat RAM that stops a device which writes without end: a loop that the guest controls fails the test instead of hanging it.</summary>
internal sealed class StoppingRam(int sizeBytes, int writesMax) : IGuestPhysicalMemory
{
    private readonly byte[] bytes = new byte[sizeBytes];
    private int writes;

    /// <summary>Told of each address that the device has written to: what a driver's rings that lie over one another, or over buffers, do with it.</summary>
    public Action<ulong>? Written { get; set; }

    public ulong SizeBytes => (ulong)bytes.Length;

    public Span<byte> Span(ulong address, int length) => bytes.AsSpan((int)address, length);

    public bool TryRead(ulong physicalAddress, Span<byte> destination)
    {
        if (!Inside(physicalAddress, destination.Length))
        {
            return false;
        }
        Span(physicalAddress, destination.Length).CopyTo(destination);
        return true;
    }

    public bool TryWrite(ulong physicalAddress, ReadOnlySpan<byte> source)
    {
        if (!Inside(physicalAddress, source.Length))
        {
            return false;
        }
        Assert.True(++writes <= writesMax, $"the device has written {writesMax} times and has not returned");
        source.CopyTo(Span(physicalAddress, source.Length));
        Written?.Invoke(physicalAddress);
        return true;
    }

    private bool Inside(ulong address, int length) => address <= SizeBytes && (ulong)length <= SizeBytes - address;
}
