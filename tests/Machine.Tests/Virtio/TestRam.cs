using FtAkka.Cpu.Memory;

namespace FtAkka.Machine.Tests.Virtio;

/// <summary>
/// Flat RAM below 3 GiB. Accesses outside are refused and counted, so that a test can see whether a device tried one.
/// </summary>
internal sealed class TestRam(int sizeBytes) : IGuestPhysicalMemory
{
    private readonly byte[] bytes = new byte[sizeBytes];

    public ulong SizeBytes => (ulong)bytes.Length;

    public int RefusedAccesses { get; private set; }

    public int Writes { get; private set; }

    public Span<byte> Span(ulong address, int length) => bytes.AsSpan((int)address, length);

    public byte[] Copy() => (byte[])bytes.Clone();

    public bool TryRead(ulong physicalAddress, Span<byte> destination)
    {
        if (!Inside(physicalAddress, destination.Length))
        {
            return false;
        }
        bytes.AsSpan((int)physicalAddress, destination.Length).CopyTo(destination);
        return true;
    }

    public bool TryWrite(ulong physicalAddress, ReadOnlySpan<byte> source)
    {
        if (!Inside(physicalAddress, source.Length))
        {
            return false;
        }
        Writes++;
        source.CopyTo(bytes.AsSpan((int)physicalAddress));
        return true;
    }

    private bool Inside(ulong address, int length)
    {
        bool inside = address <= SizeBytes && (ulong)length <= SizeBytes - address;
        RefusedAccesses += inside ? 0 : 1;
        return inside;
    }
}
