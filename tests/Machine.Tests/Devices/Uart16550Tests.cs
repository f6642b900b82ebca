using FtAkka.Machine.Devices;

namespace FtAkka.Machine.Tests.Devices;

/// <summary>The UART (PC16550D datasheet, section 8).</summary>
public sealed class Uart16550Tests
{
    private const ushort Data = 0, Ier = 1, Iir = 2, Fcr = 2, Lcr = 3, Mcr = 4, Lsr = 5, Msr = 6, Scr = 7;
    private const byte Out2 = 0x08, Loop = 0x10, NoInterrupt = 0x01, TransmitterEmpty = 0x02, DataAvailable = 0x04, LineStatus = 0x06, Timeout = 0x0C;

    private readonly RecordingLine line = new();
    private readonly List<byte> sent = [];

    private Uart16550 Create(int queue = 1024)
    {
        var uart = new Uart16550(line, sent.Add, queue);
        uart.PortWrite(Mcr, Out2);
        return uart;
    }

    private static byte Id(Uart16550 uart) => (byte)(uart.PortRead(Iir) & 0x0F);

    [Fact]
    public void Written_bytes_leave_in_order_and_the_transmitter_is_always_empty()
    {
        var uart = Create();
        foreach (var value in "ok\n"u8)
            uart.PortWrite(Data, value);
        Assert.Equal("ok\n"u8.ToArray(), sent);
        Assert.Equal(0x60, uart.PortRead(Lsr));
    }

    [Fact]
    public void Section_8_3_divisor_latch_hides_data_and_interrupt_enable()
    {
        var uart = Create();
        uart.PortWrite(Ier, 0x05);
        uart.PortWrite(Lcr, 0x83);
        uart.PortWrite(Data, 0x34);
        uart.PortWrite(Ier, 0x12);
        Assert.Equal((0x34, 0x12), (uart.PortRead(Data), uart.PortRead(Ier)));
        uart.PortWrite(Lcr, 0x03);
        Assert.Equal(0x05, uart.PortRead(Ier));
        Assert.Empty(sent);
    }

    [Fact]
    public void Scratch_register_keeps_its_value_and_ier_its_low_four_bits()
    {
        var uart = Create();
        uart.PortWrite(Scr, 0xA5);
        uart.PortWrite(Ier, 0xF5);
        Assert.Equal((0xA5, 0x05), (uart.PortRead(Scr), uart.PortRead(Ier)));
    }

    [Fact]
    public void Transmitter_interrupt_comes_on_enabling_goes_with_the_iir_read_and_comes_back_with_each_byte()
    {
        var uart = Create();
        uart.PortWrite(Ier, 0x02);
        Assert.True(line.Asserted);
        Assert.Equal(TransmitterEmpty, Id(uart));
        Assert.False(line.Asserted);
        Assert.Equal(NoInterrupt, Id(uart));
        uart.PortWrite(Data, (byte)'a');
        uart.PortWrite(Data, (byte)'b');
        Assert.Equal(3, line.RisingEdges);
        Assert.Equal(TransmitterEmpty, Id(uart));
    }

    [Fact]
    public void Transmitter_interrupt_comes_again_when_it_is_disabled_and_enabled()
    {
        var uart = Create();
        uart.PortWrite(Ier, 0x02);
        uart.PortRead(Iir);
        uart.PortWrite(Ier, 0x00);
        uart.PortWrite(Ier, 0x02);
        Assert.Equal(TransmitterEmpty, Id(uart));
    }

    [Theory]
    [InlineData(0x01, 1)]
    [InlineData(0x41, 4)]
    [InlineData(0x81, 8)]
    [InlineData(0xC1, 14)]
    public void Section_8_4_trigger_level_parts_data_available_from_timeout(byte fifoControl, int trigger)
    {
        var uart = Create();
        uart.PortWrite(Fcr, fifoControl);
        uart.PortWrite(Ier, 0x01);
        uart.Receive(new byte[trigger]);
        Assert.Equal(0xC0 | DataAvailable, uart.PortRead(Iir));
        uart.PortRead(Data);
        Assert.Equal(trigger > 1 ? Timeout : NoInterrupt, Id(uart));
    }

    [Fact]
    public void Input_beyond_the_fifo_waits_and_nothing_is_lost()
    {
        var uart = Create();
        uart.PortWrite(Fcr, 0x01);
        var input = Enumerable.Range(0, 100).Select(i => (byte)i).ToArray();
        Assert.Equal(100, uart.Receive(input));
        var read = new List<byte>();
        while ((uart.PortRead(Lsr) & 1) != 0)
            read.Add(uart.PortRead(Data));
        Assert.Equal(input, read);
        Assert.Equal(0x60, uart.PortRead(Lsr));
    }

    [Fact]
    public void Input_beyond_the_queue_is_dropped_and_the_answer_says_so()
    {
        var uart = Create(queue: 10);
        Assert.Equal(10, uart.Receive(new byte[30]));
        // Without FIFOs one byte moved on to the holding register.
        Assert.Equal(1, uart.InputRoomBytes);
    }

    [Fact]
    public void Without_fifo_one_byte_at_a_time_is_available()
    {
        var uart = Create();
        uart.PortWrite(Ier, 0x01);
        uart.Receive([1, 2]);
        Assert.Equal(DataAvailable, uart.PortRead(Iir));
        Assert.Equal(1, uart.PortRead(Data));
        Assert.Equal(DataAvailable, uart.PortRead(Iir));
        Assert.Equal(2, uart.PortRead(Data));
        Assert.Equal(NoInterrupt, uart.PortRead(Iir));
    }

    [Fact]
    public void Section_8_4_fifo_reset_forgets_what_the_fifo_holds_but_not_what_waits()
    {
        var uart = Create();
        uart.PortWrite(Fcr, 0x01);
        uart.Receive(Enumerable.Range(0, 20).Select(i => (byte)i).ToArray());
        uart.PortWrite(Fcr, 0x03);
        Assert.Equal(16, uart.PortRead(Data));
    }

    [Fact]
    public void Table_ii_priorities_line_status_then_data_then_transmitter_then_modem()
    {
        var uart = Create();
        uart.PortWrite(Ier, 0x0F);
        uart.PortWrite(Mcr, Loop);
        uart.PortWrite(Data, 1);
        uart.PortWrite(Data, 2);
        Assert.Equal(LineStatus, Id(uart));
        Assert.Equal(0x63, uart.PortRead(Lsr));
        Assert.Equal(DataAvailable, Id(uart));
        Assert.Equal(1, uart.PortRead(Data));
        Assert.Equal(TransmitterEmpty, Id(uart));
        Assert.Equal(0x00, Id(uart));
        uart.PortRead(Msr);
        Assert.Equal(NoInterrupt, Id(uart));
    }

    [Theory]
    [InlineData(0x1A, 0x90)]
    [InlineData(0x11, 0x20)]
    [InlineData(0x14, 0x40)]
    [InlineData(0x1F, 0xF0)]
    public void Section_8_7_loopback_feeds_outputs_to_inputs(byte control, byte lines)
    {
        var uart = Create();
        uart.PortWrite(Mcr, control);
        Assert.Equal(lines, uart.PortRead(Msr) & 0xF0);
        Assert.Empty(sent);
    }

    [Fact]
    public void Section_8_8_deltas_are_cleared_by_reading_and_ri_reports_its_trailing_edge()
    {
        var uart = Create();
        uart.PortWrite(Mcr, Loop | 0x04);
        Assert.Equal(0x4B, uart.PortRead(Msr));
        Assert.Equal(0x40, uart.PortRead(Msr));
        uart.PortWrite(Mcr, Loop);
        Assert.Equal(0x04, uart.PortRead(Msr));
    }

    [Fact]
    public void Modem_lines_show_a_connected_peer_and_out2_gates_the_interrupt()
    {
        var uart = Create();
        Assert.Equal(0xB0, uart.PortRead(Msr));
        uart.PortWrite(Ier, 0x02);
        Assert.True(line.Asserted);
        uart.PortWrite(Mcr, 0);
        Assert.False(line.Asserted);
    }

    [Fact]
    public void Loopback_receives_what_is_sent_up_to_the_fifo_and_overruns_beyond()
    {
        var uart = Create();
        uart.PortWrite(Fcr, 0x01);
        uart.PortWrite(Mcr, Loop);
        for (byte i = 0; i < 17; i++)
            uart.PortWrite(Data, i);
        Assert.Equal(0x63, uart.PortRead(Lsr));
        Assert.Equal(0x61, uart.PortRead(Lsr));
        for (byte i = 0; i < 16; i++)
            Assert.Equal(i, uart.PortRead(Data));
        Assert.Equal(0x60, uart.PortRead(Lsr));
    }

    [Fact]
    public void Snapshot_round_trip()
    {
        var uart = Create();
        uart.PortWrite(Fcr, 0x81);
        uart.PortWrite(Ier, 0x03);
        uart.PortWrite(Scr, 0x77);
        uart.Receive(new byte[] { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 });
        SnapshotRoundTrip.Check(uart, () => Create());
    }
}
