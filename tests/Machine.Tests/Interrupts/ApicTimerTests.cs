using FtAkka.Machine.Interrupts;

namespace FtAkka.Machine.Tests.Interrupts;

/// <summary>The local APIC timer (Intel SDM vol. 3A, 11.5.4).</summary>
public sealed class ApicTimerTests
{
    private const ulong LvtTimer = 0x320, InitialCount = 0x380, CurrentCount = 0x390, Divide = 0x3E0, Irr4 = 0x220;
    private const uint Vector = 0x40, DivideByOne = 0xB;

    private ulong tsc = 1000;
    private int changes;

    private LocalApic Create(uint mode, uint ticksPerTimerTick = 1)
    {
        var apic = new LocalApic(new LocalApicOptions { TscTicksPerTimerTick = ticksPerTimerTick }, () => tsc);
        apic.MmioWrite(0xF0, 4, 0x1FF);
        apic.MmioWrite(Divide, 4, DivideByOne);
        apic.MmioWrite(LvtTimer, 4, mode << 17 | Vector);
        apic.TimerChanged = () => changes++;
        return apic;
    }

    private static bool Fires(LocalApic apic)
    {
        apic.AdvanceTimer();
        if (!apic.InterruptPending)
            return false;
        Assert.Equal(Vector, apic.Acknowledge());
        apic.MmioWrite(0xB0, 4, 0);
        return true;
    }

    [Fact]
    public void One_shot_counts_down_with_the_tsc_and_expires_once()
    {
        var apic = Create(mode: 0);
        apic.MmioWrite(InitialCount, 4, 500);
        Assert.Equal(1, changes);
        Assert.Equal(1500UL, apic.NextTimerTsc);
        tsc = 1499;
        Assert.Equal(1UL, apic.MmioRead(CurrentCount, 4));
        Assert.False(Fires(apic));
        tsc = 1500;
        Assert.True(Fires(apic));
        Assert.Equal(0UL, apic.MmioRead(CurrentCount, 4));
        Assert.Equal(500UL, apic.MmioRead(InitialCount, 4));
        Assert.Null(apic.NextTimerTsc);
        tsc = 5000;
        Assert.False(Fires(apic));
    }

    [Theory]
    [InlineData(0x0U, 2U)]
    [InlineData(0x1U, 4U)]
    [InlineData(0x2U, 8U)]
    [InlineData(0x3U, 16U)]
    [InlineData(0x8U, 32U)]
    [InlineData(0x9U, 64U)]
    [InlineData(0xAU, 128U)]
    [InlineData(0xBU, 1U)]
    public void Figure_11_10_divide_configuration(uint code, uint divider)
    {
        var apic = Create(mode: 0, ticksPerTimerTick: 40);
        apic.MmioWrite(Divide, 4, code);
        apic.MmioWrite(InitialCount, 4, 100);
        Assert.Equal(1000UL + 100UL * divider * 40, apic.NextTimerTsc);
        Assert.Equal(code, (uint)apic.MmioRead(Divide, 4));
    }

    [Fact]
    public void Periodic_expires_at_every_multiple_and_merges_missed_periods()
    {
        var apic = Create(mode: 1);
        apic.MmioWrite(InitialCount, 4, 100);
        tsc = 1100;
        Assert.True(Fires(apic));
        Assert.Equal(1200UL, apic.NextTimerTsc);
        tsc = 1730;
        Assert.True(Fires(apic));
        Assert.Equal(1800UL, apic.NextTimerTsc);
        Assert.Equal(70UL, apic.MmioRead(CurrentCount, 4));
        Assert.False(Fires(apic));
    }

    [Fact]
    public void Initial_count_zero_stops_the_counter()
    {
        var apic = Create(mode: 1);
        apic.MmioWrite(InitialCount, 4, 100);
        apic.MmioWrite(InitialCount, 4, 0);
        Assert.Null(apic.NextTimerTsc);
        tsc = 99_999;
        Assert.False(Fires(apic));
    }

    [Fact]
    public void Masked_timer_counts_but_requests_nothing()
    {
        var apic = Create(mode: 0);
        apic.MmioWrite(LvtTimer, 4, 1 << 16 | Vector);
        apic.MmioWrite(InitialCount, 4, 10);
        tsc = 1010;
        apic.AdvanceTimer();
        Assert.Equal(0UL, apic.MmioRead(Irr4, 4));
        Assert.Equal(0UL, apic.MmioRead(CurrentCount, 4));
    }

    [Fact]
    public void Sdm_11_5_4_1_deadline_fires_once_at_its_tsc_and_reads_zero_afterwards()
    {
        var apic = Create(mode: 2);
        Assert.True(apic.TryWriteMsr(0x6E0, 4000));
        Assert.Equal(1, changes);
        Assert.True(apic.TryReadMsr(0x6E0, out var deadline));
        Assert.Equal(4000UL, deadline);
        Assert.Equal(0UL, apic.MmioRead(CurrentCount, 4));
        tsc = 3999;
        Assert.False(Fires(apic));
        tsc = 4100;
        Assert.True(Fires(apic));
        apic.TryReadMsr(0x6E0, out deadline);
        Assert.Equal(0UL, deadline);
        Assert.Null(apic.NextTimerTsc);
    }

    [Fact]
    public void Sdm_11_5_4_1_deadline_in_the_past_fires_at_once_and_zero_disarms()
    {
        var apic = Create(mode: 2);
        apic.TryWriteMsr(0x6E0, 1);
        Assert.True(Fires(apic));
        apic.TryWriteMsr(0x6E0, 5000);
        apic.TryWriteMsr(0x6E0, 0);
        Assert.Null(apic.NextTimerTsc);
    }

    [Fact]
    public void Sdm_11_5_4_1_each_mode_ignores_the_others_registers_and_a_change_disarms()
    {
        var apic = Create(mode: 2);
        apic.MmioWrite(InitialCount, 4, 100);
        Assert.Null(apic.NextTimerTsc);
        apic.TryWriteMsr(0x6E0, 5000);
        apic.MmioWrite(LvtTimer, 4, Vector);
        Assert.Null(apic.NextTimerTsc);
        apic.TryWriteMsr(0x6E0, 5000);
        Assert.Null(apic.NextTimerTsc);
        apic.MmioWrite(InitialCount, 4, 100);
        apic.MmioWrite(LvtTimer, 4, 1 << 17 | Vector);
        Assert.Equal(1100UL, apic.NextTimerTsc);
    }

    [Fact]
    public void Change_of_the_divider_goes_on_from_the_present_count()
    {
        var apic = Create(mode: 0);
        apic.MmioWrite(InitialCount, 4, 100);
        tsc = 1040;
        apic.MmioWrite(Divide, 4, 0x0);
        Assert.Equal(60UL, apic.MmioRead(CurrentCount, 4));
        Assert.Equal(1040UL + 120, apic.NextTimerTsc);
    }
}
