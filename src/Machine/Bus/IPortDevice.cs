namespace FtAkka.Machine.Bus;

/// <summary>A device whose registers are single-byte I/O ports. Wider accesses are split into bytes by <see cref="PortRouter"/>, lowest port first.</summary>
public interface IPortDevice
{
    /// <summary>IN of one byte at <paramref name="offset"/> ports from the start of the device's range.</summary>
    byte PortRead(ushort offset);

    /// <summary>OUT of one byte at <paramref name="offset"/> ports from the start of the device's range.</summary>
    void PortWrite(ushort offset, byte value);
}
