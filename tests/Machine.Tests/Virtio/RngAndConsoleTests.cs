using FtAkka.Machine.Snapshots;
using FtAkka.Machine.Virtio;
using FtAkka.Machine.Virtio.Console;
using FtAkka.Machine.Virtio.Queues;
using FtAkka.Machine.Virtio.Rng;

namespace FtAkka.Machine.Tests.Virtio;

/// <summary>The entropy and the console device.</summary>
public sealed class RngAndConsoleTests
{
    private readonly RecordingSinks sinks = new();

    private static VirtioRngDevice NewRng() => new(ChaChaGenerator.FromSeed(42));

    private VirtioConsoleDevice NewConsole() => new(sinks, 120, 40);

    [Fact]
    public void Rfc_8439_2_3_2_block_function_gives_the_published_stream_for_the_zero_key()
    {
        // RFC 8439 A.1, test vector 1: zero key, zero nonce, block 0.
        byte[] stream = new byte[64];
        new ChaChaGenerator(new byte[32]).Fill(stream);
        Assert.Equal("76B8E0ADA0F13D90405D6AE55386BD28BDD219B8A08DED1AA836EFCC8B770DC7DA41597C5157488D7724E03FB8D84A376A43B8F41518A11CC387B669B2EE6586",
            Convert.ToHexString(stream));
    }

    [Fact]
    public void Generator_gives_the_same_stream_however_it_is_cut_and_restored()
    {
        byte[] whole = new byte[1000];
        ChaChaGenerator.FromSeed(9).Fill(whole);
        ChaChaGenerator generator = ChaChaGenerator.FromSeed(9);
        var parts = new List<byte>();
        for (int length = 0; parts.Count + length <= 1000; length++)
        {
            byte[] part = new byte[length];
            generator.Fill(part);
            parts.AddRange(part);
            var writer = new StateWriter();
            generator.Snapshot(writer);
            generator = ChaChaGenerator.FromSeed(0);
            Assert.Equal(SnapshotError.None, generator.Restore(new StateReader(writer.Written.ToArray())));
        }
        Assert.Equal(whole[..parts.Count], parts);
    }

    [Fact]
    public void Virtio_5_4_6_random_bytes_come_inside_the_notification()
    {
        var driver = new DriverHarness(NewRng).Start();
        byte[] expected = new byte[100];
        ChaChaGenerator.FromSeed(42).Fill(expected);
        ulong first = driver.Reserve(64);
        ulong second = driver.Reserve(36);
        driver.Queues[0].Add(new DriverBuffer(first, 64, true));
        driver.Queues[0].Add(new DriverBuffer(second, 36, true));
        driver.Notify(0);
        byte[] got = [.. driver.Ram.Span(first, 64), .. driver.Ram.Span(second, 36)];
        Assert.Equal(expected, got);
        Assert.Equal([64u, 36u], driver.Queues[0].TakeUsed().Select(u => u.WrittenBytes));
        Assert.Equal(VirtioInterrupt.UsedBuffer, (int)driver.TakeInterrupt());
    }

    [Fact]
    public void Virtio_5_4_6_2_large_buffer_is_filled_in_part()
    {
        var driver = new DriverHarness(NewRng).Start();
        ulong at = driver.Reserve(10_000);
        driver.Queues[0].Add(new DriverBuffer(at, 10_000, true));
        driver.Notify(0);
        Assert.Equal([4096u], driver.Queues[0].TakeUsed().Select(u => u.WrittenBytes));
        Assert.Equal(0xA5, driver.Ram.Span(at + 4096, 1)[0]);
    }

    [Fact]
    public void Virtio_5_4_6_1_readable_buffer_needs_a_reset()
    {
        var driver = new DriverHarness(NewRng).Start();
        driver.Queues[0].Add(new DriverBuffer(driver.Reserve(8), 8, false));
        driver.Notify(0);
        Assert.Equal(VirtqueueFault.WrongDirection, driver.Device.LastFault);
    }

    [Fact]
    public void Rng_restored_in_the_middle_goes_on_with_the_same_bytes()
    {
        var driver = new DriverHarness(NewRng).Start();
        byte[] expected = new byte[60];
        ChaChaGenerator.FromSeed(42).Fill(expected);
        ulong at = driver.Reserve(60);
        driver.Queues[0].Add(new DriverBuffer(at, 25, true));
        driver.Notify(0);
        driver.MoveTo(() => new VirtioRngDevice(ChaChaGenerator.FromSeed(0)));
        driver.Queues[0].Add(new DriverBuffer(at + 25, 35, true));
        driver.Notify(0);
        Assert.Equal(expected, driver.Ram.Span(at, 60).ToArray());
    }

    [Fact]
    public void Virtio_5_3_6_output_leaves_in_order_at_the_notification()
    {
        var driver = new DriverHarness(NewConsole).Start();
        driver.Queues[1].Add(new(driver.Place("hello "u8), 6, false), new(driver.Place("wor"u8), 3, false));
        driver.Queues[1].Add(new DriverBuffer(driver.Place("ld"u8), 2, false));
        driver.Notify(1);
        Assert.Equal("hello world"u8.ToArray(), sinks.ConsoleBytes);
        Assert.Equal(2, driver.Queues[1].UsedIndex);
    }

    [Fact]
    public void Output_beyond_the_limit_of_one_notification_is_cut_off()
    {
        const int bytes = 600 << 10;
        var driver = new DriverHarness(NewConsole).Start();
        ulong buffer = driver.Reserve(bytes);
        for (int i = 0; i < 3; i++)
        {
            driver.Queues[1].Add(new DriverBuffer(buffer, bytes, false));
        }
        driver.Notify(1);
        Assert.Equal(ConsoleProtocol.BytesPerNotificationMax, sinks.ConsoleBytes.Count);
        Assert.Equal(3, driver.Queues[1].TakeUsed().Count);

        driver.Queues[1].Add(new DriverBuffer(buffer, 5, false));
        driver.Notify(1);
        Assert.Equal(ConsoleProtocol.BytesPerNotificationMax + 5, sinks.ConsoleBytes.Count);
    }

    [Fact]
    public void Virtio_5_3_6_input_fills_buffers_and_the_rest_waits()
    {
        var driver = new DriverHarness(NewConsole).Start();
        var console = (VirtioConsoleDevice)driver.Device.Model;
        ulong at = driver.Reserve(4);
        driver.Queues[0].Add(new DriverBuffer(at, 4, true));
        Assert.Equal(6, console.Input("abcdef"u8));
        Assert.Equal("abcd"u8.ToArray(), driver.Ram.Span(at, 4).ToArray());
        Assert.Equal(2, console.HeldBytes);
        driver.MoveTo(NewConsole);
        ulong next = driver.Reserve(16);
        driver.Queues[0].Add(new DriverBuffer(next, 16, true));
        Assert.True(driver.Queues[0].MustNotify(added: 1));
        driver.Notify(0);
        Assert.Equal("ef"u8.ToArray(), driver.Ram.Span(next, 2).ToArray());
        Assert.Equal([4u, 2u], driver.Queues[0].TakeUsed().Select(u => u.WrittenBytes));
    }

    [Fact]
    public void Input_beyond_the_limit_is_dropped_and_counted()
    {
        var driver = new DriverHarness(NewConsole).Start();
        var console = (VirtioConsoleDevice)driver.Device.Model;
        Assert.Equal(ConsoleProtocol.HeldBytesMax, console.Input(new byte[ConsoleProtocol.HeldBytesMax + 10]));
        Assert.Equal(10ul, console.DroppedBytes);
    }

    [Fact]
    public void Virtio_5_3_4_size_and_its_change_are_visible()
    {
        var driver = new DriverHarness(NewConsole).Start();
        Assert.Equal(120ul | (40ul << 16), driver.Device.MmioRead(0x100, 4));
        ((VirtioConsoleDevice)driver.Device.Model).Resize(80, 24);
        Assert.Equal(80ul | (24ul << 16), driver.Device.MmioRead(0x100, 4));
        Assert.Equal(VirtioInterrupt.ConfigurationChange, (int)driver.TakeInterrupt());
    }

    [Fact]
    public void Virtio_5_3_6_1_emergency_write_works_without_a_driver()
    {
        var driver = new DriverHarness(NewConsole);
        driver.Device.MmioWrite(0x108, 4, 'P');
        Assert.Equal("P"u8.ToArray(), sinks.ConsoleBytes);
    }

    [Fact]
    public void Virtio_5_3_6_1_wrong_direction_needs_a_reset()
    {
        var driver = new DriverHarness(NewConsole).Start();
        driver.Queues[1].Add(new DriverBuffer(driver.Reserve(4), 4, true));
        driver.Notify(1);
        Assert.Equal(VirtqueueFault.WrongDirection, driver.Device.LastFault);
    }
}
