namespace FtAkka.Machine.Bus;

/// <summary>
/// Finds the device behind an I/O port. A port nobody owns reads 0xff and ignores writes; a wide access is one access per byte port,
/// lowest first, so that each byte goes to the owner of its own port.
/// </summary>
public sealed class PortRouter
{
    private readonly record struct Range(ushort First, ushort Count, IPortDevice Device);

    private readonly List<Range> ranges = [];

    /// <summary>Adds <paramref name="count"/> ports from <paramref name="first"/> on, while the machine is put together.</summary>
    /// <exception cref="ArgumentException">The range is empty, runs past port 0xffff, or overlaps another.</exception>
    public void Add(ushort first, ushort count, IPortDevice device)
    {
        if (count == 0 || first + count > 0x10000)
            throw new ArgumentException($"Port range 0x{first:x}+{count} is empty or too long.", nameof(count));
        foreach (var other in ranges)
        {
            if (first < other.First + other.Count && other.First < first + count)
                throw new ArgumentException($"Port range 0x{first:x}+{count} overlaps the one at 0x{other.First:x}.", nameof(first));
        }
        ranges.Add(new Range(first, count, device));
    }

    /// <summary>IN of 1, 2 or 4 bytes.</summary>
    public uint Read(ushort port, int size)
    {
        uint value = 0;
        for (var i = 0; i < size; i++)
            value |= (uint)ReadByte(port + i) << (8 * i);
        return value;
    }

    /// <summary>OUT of 1, 2 or 4 bytes.</summary>
    public void Write(ushort port, int size, uint value)
    {
        for (var i = 0; i < size; i++)
            WriteByte(port + i, (byte)(value >> (8 * i)));
    }

    private byte ReadByte(int port)
    {
        foreach (var range in ranges)
        {
            if ((uint)(port - range.First) < range.Count)
                return range.Device.PortRead((ushort)(port - range.First));
        }
        return 0xFF;
    }

    private void WriteByte(int port, byte value)
    {
        foreach (var range in ranges)
        {
            if ((uint)(port - range.First) < range.Count)
            {
                range.Device.PortWrite((ushort)(port - range.First), value);
                return;
            }
        }
    }
}
