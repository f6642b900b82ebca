using FtAkka.Machine.Interrupts;

namespace FtAkka.Machine.Tests.Interrupts;

/// <summary>The I/O APIC (Intel 82093AA datasheet, section 3).</summary>
public sealed class IoApicTests
{
    private const uint Masked = 1 << 16, Level = 1 << 15, RemoteIrr = 1 << 14, ActiveLow = 1 << 13;

    private readonly List<InterruptMessage> sent = [];
    private bool accepts = true;

    private IoApic Create() => new(message =>
    {
        sent.Add(message);
        return accepts;
    });

    private static void Write(IoApic ioApic, int register, uint value)
    {
        ioApic.MmioWrite(0, 4, (uint)register);
        ioApic.MmioWrite(0x10, 4, value);
    }

    private static uint Read(IoApic ioApic, int register)
    {
        ioApic.MmioWrite(0, 4, (uint)register);
        return (uint)ioApic.MmioRead(0x10, 4);
    }

    [Fact]
    public void Identity_registers()
    {
        var ioApic = Create();
        Assert.Equal(0x0017_0020U, Read(ioApic, 1));
        Write(ioApic, 0, 0xFFFF_FFFF);
        Assert.Equal(0x0F00_0000U, Read(ioApic, 0));
        Assert.Equal(0x0F00_0000U, Read(ioApic, 2));
        Assert.Equal(0U, Read(ioApic, 0x40));
        for (var pin = 0; pin < 24; pin++)
            Assert.Equal((Masked, 0U), (Read(ioApic, 0x10 + 2 * pin), Read(ioApic, 0x11 + 2 * pin)));
    }

    [Fact]
    public void Edge_sends_one_message_per_rising_edge()
    {
        var ioApic = Create();
        var line = ioApic.Line(4);
        Write(ioApic, 0x19, 0x0300_0000);
        Write(ioApic, 0x18, 0x0931);
        line.Drive(true);
        line.Drive(true);
        line.Drive(false);
        line.Drive(true);
        var message = new InterruptMessage(3, true, DeliveryMode.LowestPriority, 0x31, false);
        Assert.Equal([message, message], sent);
    }

    [Fact]
    public void Edge_on_masked_pin_is_lost()
    {
        var ioApic = Create();
        var line = ioApic.Line(4);
        Write(ioApic, 0x18, Masked | 0x31);
        line.Drive(true);
        Write(ioApic, 0x18, 0x31);
        Assert.Empty(sent);
    }

    [Fact]
    public void Level_waits_for_the_eoi_and_sends_again_while_asserted()
    {
        var ioApic = Create();
        var line = ioApic.Line(16);
        Write(ioApic, 0x30, Level | 0x50);
        line.Drive(true);
        Assert.Equal(Level | RemoteIrr | 0x50, Read(ioApic, 0x30));
        line.Drive(false);
        line.Drive(true);
        Assert.Single(sent);
        ioApic.EndOfInterrupt(0x51);
        Assert.Single(sent);
        ioApic.EndOfInterrupt(0x50);
        Assert.Equal(2, sent.Count);
        line.Drive(false);
        ioApic.EndOfInterrupt(0x50);
        Assert.Equal(2, sent.Count);
        Assert.Equal(Level | 0x50, Read(ioApic, 0x30));
    }

    [Fact]
    public void Level_asserted_while_masked_is_sent_on_unmasking()
    {
        var ioApic = Create();
        ioApic.Line(16).Drive(true);
        Write(ioApic, 0x30, Level | Masked | 0x50);
        Assert.Empty(sent);
        Write(ioApic, 0x30, Level | 0x50);
        Assert.Equal([new InterruptMessage(0, false, DeliveryMode.Fixed, 0x50, true)], sent);
    }

    [Fact]
    public void Level_message_that_nobody_accepts_leaves_no_remote_irr()
    {
        accepts = false;
        var ioApic = Create();
        ioApic.Line(16).Drive(true);
        Write(ioApic, 0x30, Level | 0x50);
        Assert.Equal(Level | 0x50, Read(ioApic, 0x30));
        accepts = true;
        Write(ioApic, 0x31, 0);
        Assert.Equal(Level | RemoteIrr | 0x50, Read(ioApic, 0x30));
    }

    [Fact]
    public void Switching_to_edge_clears_the_remote_irr()
    {
        var ioApic = Create();
        ioApic.Line(16).Drive(true);
        Write(ioApic, 0x30, Level | 0x50);
        Write(ioApic, 0x30, Masked | 0x50);
        Assert.Equal(Masked | 0x50, Read(ioApic, 0x30));
    }

    [Fact]
    public void Eoi_register_of_version_20_ends_an_interrupt()
    {
        var ioApic = Create();
        var line = ioApic.Line(16);
        Write(ioApic, 0x30, Level | 0x50);
        line.Drive(true);
        line.Drive(false);
        ioApic.MmioWrite(0x40, 4, 0x50);
        Assert.Equal(Level | 0x50, Read(ioApic, 0x30));
    }

    [Fact]
    public void Active_low_pin_is_active_while_the_wire_is_low_and_unconnected_pins_never_are()
    {
        var ioApic = Create();
        var line = ioApic.Line(16);
        line.Drive(true);
        Write(ioApic, 0x30, Level | ActiveLow | 0x50);
        Write(ioApic, 0x32, Level | ActiveLow | 0x51);
        Assert.Empty(sent);
        line.Drive(false);
        Assert.Equal(0x50, Assert.Single(sent).Vector);
    }

    [Fact]
    public void Read_only_and_reserved_bits_of_an_entry_stay_clear()
    {
        var ioApic = Create();
        Write(ioApic, 0x10, 0xFFFF_FFFF);
        Write(ioApic, 0x11, 0xFFFF_FFFF);
        Assert.Equal((0x0001_AFFFU, 0xFF00_0000U), (Read(ioApic, 0x10), Read(ioApic, 0x11)));
    }

    [Fact]
    public void Snapshot_round_trip()
    {
        var ioApic = Create();
        ioApic.Line(16).Drive(true);
        Write(ioApic, 0x30, Level | 0x50);
        SnapshotRoundTrip.Check(ioApic, Create);
    }
}
