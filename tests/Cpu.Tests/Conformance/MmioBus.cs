using System.Buffers.Binary;

namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>A platform that consists of some pages of memory behind MMIO.</summary>
internal sealed class MmioBus : ICpuBus
{
    private readonly SortedDictionary<ulong, byte[]> _pages = [];

    public void AddPage(ulong physical) => _pages.Add(physical, new byte[4096]);

    /// <summary>The bytes from <paramref name="physical"/> to the end of its page.</summary>
    public bool TryGet(ulong physical, out Span<byte> bytes)
    {
        bool found = _pages.TryGetValue(physical & ~0xFFFul, out byte[]? page);
        bytes = found ? page.AsSpan((int)(physical & 0xFFF)) : default;
        return found;
    }

    public ulong MmioRead(ulong physicalAddress, int size)
    {
        Span<byte> value = stackalloc byte[8];
        value.Clear();
        Find(physicalAddress, size).CopyTo(value);
        return BinaryPrimitives.ReadUInt64LittleEndian(value);
    }

    public void MmioWrite(ulong physicalAddress, int size, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        bytes[..size].CopyTo(Find(physicalAddress, size));
    }

    public uint PortRead(ushort port, int size) => throw new InvalidOperationException("No case reads ports.");

    public void PortWrite(ushort port, int size, uint value) => throw new InvalidOperationException("No case writes ports.");

    public byte AcknowledgeInterrupt() => throw new InvalidOperationException("No case has interrupts.");

    public ulong ReadTimestampCounter() => 0;

    public bool TryReadMsr(uint msr, out ulong value)
    {
        value = 0;
        return false;
    }

    public bool TryWriteMsr(uint msr, ulong value) => false;

    public ulong ReadCr8() => 0;

    public void WriteCr8(ulong taskPriority)
    {
    }

    private Span<byte> Find(ulong physicalAddress, int size)
    {
        if (!TryGet(physicalAddress, out Span<byte> bytes) || bytes.Length < size || size is not (1 or 2 or 4 or 8))
        {
            throw new InvalidOperationException($"MMIO of {size} bytes at {physicalAddress:x} is outside its page.");
        }
        return bytes[..size];
    }
}
