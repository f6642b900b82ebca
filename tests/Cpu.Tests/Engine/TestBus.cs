namespace FtAkka.Cpu.Tests.Engine;

/// <summary>A platform without devices: answers are functions of the address, writes are remembered.</summary>
internal sealed class TestBus : ICpuBus
{
    public List<(ulong Address, int Size, ulong Value)> MmioWrites { get; } = [];
    public List<(ushort Port, int Size, uint Value)> PortWrites { get; } = [];
    public Func<ulong, int, ulong> OnMmioRead { get; set; } = (address, size) => 0x1111_2222_3333_4444UL ^ address ^ (ulong)size;
    public Action<ulong, int, ulong>? OnMmioWrite { get; set; }
    public Action<ushort, int, uint>? OnPortWrite { get; set; }
    public Func<byte> OnAcknowledge { get; set; } = () => 0x40;
    public Func<ulong> Tsc { get; set; } = () => 0;
    private ulong _cr8;

    public ulong MmioRead(ulong physicalAddress, int size) => OnMmioRead(physicalAddress, size);

    public void MmioWrite(ulong physicalAddress, int size, ulong value)
    {
        MmioWrites.Add((physicalAddress, size, value));
        OnMmioWrite?.Invoke(physicalAddress, size, value);
    }

    public uint PortRead(ushort port, int size) => 0xFFFF_FFFF >> (32 - (size * 8));

    public void PortWrite(ushort port, int size, uint value)
    {
        PortWrites.Add((port, size, value));
        OnPortWrite?.Invoke(port, size, value);
    }

    public byte AcknowledgeInterrupt() => OnAcknowledge();

    public ulong ReadTimestampCounter() => Tsc();

    public bool TryReadMsr(uint msr, out ulong value)
    {
        value = 0;
        return false;
    }

    public bool TryWriteMsr(uint msr, ulong value) => false;

    public ulong ReadCr8() => _cr8;

    public void WriteCr8(ulong taskPriority) => _cr8 = taskPriority;
}
