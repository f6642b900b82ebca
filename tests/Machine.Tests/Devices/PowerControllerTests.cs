using FtAkka.Machine.Devices;

namespace FtAkka.Machine.Tests.Devices;

/// <summary>Sleep and reset registers (ACPI 6.5, 4.8.3).</summary>
public sealed class PowerControllerTests
{
    private readonly List<PowerRequest> requests = [];

    private PowerController Create() => new(requests.Add);

    [Fact]
    public void Acpi_4_8_3_7_sleep_type_5_with_enable_powers_off()
    {
        var power = Create();
        power.MmioWrite(PowerController.SleepStatusOffset, 1, 0x80);
        power.MmioWrite(PowerController.SleepControlOffset, 1, 0x34);
        Assert.Equal([PowerRequest.PowerOff], requests);
    }

    [Theory]
    [InlineData(0x14)]
    [InlineData(0x30)]
    [InlineData(0x00)]
    public void Sleep_control_without_enable_or_with_another_type_does_nothing(byte value)
    {
        Create().MmioWrite(PowerController.SleepControlOffset, 1, value);
        Assert.Empty(requests);
    }

    [Fact]
    public void Acpi_4_8_3_6_only_the_reset_value_resets()
    {
        var power = Create();
        power.MmioWrite(PowerController.ResetOffset, 1, 0x06);
        Assert.Empty(requests);
        power.MmioWrite(PowerController.ResetOffset, 1, PowerController.ResetValue);
        Assert.Equal([PowerRequest.Reset], requests);
    }

    [Fact]
    public void Registers_read_zero() => Assert.Equal(0UL, Create().MmioRead(PowerController.SleepStatusOffset, 1));
}
