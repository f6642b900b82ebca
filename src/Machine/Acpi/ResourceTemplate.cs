using System.Buffers.Binary;

namespace FtAkka.Machine.Acpi;

/// <summary>Resource descriptors of a device (ACPI 6.5, 6.4).</summary>
internal sealed class ResourceTemplate
{
    private readonly List<byte> bytes = [];

    /// <summary>The descriptors and the end tag (6.4.2.9), whose checksum 0 means "not checked".</summary>
    public byte[] ToArray() => [.. bytes, 0x79, 0x00];

    /// <summary>32-bit fixed memory range, writable (6.4.3.4).</summary>
    public ResourceTemplate Memory32Fixed(uint baseAddress, uint lengthBytes)
    {
        Span<byte> descriptor = stackalloc byte[12];
        descriptor[0] = 0x86;
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor[1..], 9);
        descriptor[3] = 1;
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[4..], baseAddress);
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[8..], lengthBytes);
        bytes.AddRange(descriptor);
        return this;
    }

    /// <summary>One level-triggered, active-high, exclusive interrupt of this device (6.4.3.6).</summary>
    public ResourceTemplate InterruptLevelHigh(uint gsi)
    {
        Span<byte> descriptor = stackalloc byte[9];
        descriptor[0] = 0x89;
        BinaryPrimitives.WriteUInt16LittleEndian(descriptor[1..], 6);
        descriptor[3] = 1;
        descriptor[4] = 1;
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[5..], gsi);
        bytes.AddRange(descriptor);
        return this;
    }

    /// <summary>I/O ports, 16-bit decoded (6.4.2.5).</summary>
    public ResourceTemplate Ports(ushort first, byte count)
    {
        bytes.AddRange([0x47, 1, (byte)first, (byte)(first >> 8), (byte)first, (byte)(first >> 8), 1, count]);
        return this;
    }

    /// <summary>ISA interrupt, edge-triggered and active high by default (6.4.2.1).</summary>
    public ResourceTemplate Irq(int number)
    {
        var mask = 1 << number;
        bytes.AddRange([0x22, (byte)mask, (byte)(mask >> 8)]);
        return this;
    }
}
