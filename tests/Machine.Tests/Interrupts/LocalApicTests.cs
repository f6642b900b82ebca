using FtAkka.Machine.Interrupts;

namespace FtAkka.Machine.Tests.Interrupts;

/// <summary>Priorities, delivery and registers (Intel SDM vol. 3A, chapter 11).</summary>
public sealed class LocalApicTests
{
    private const ulong Id = 0x20, Version = 0x30, Tpr = 0x80, Ppr = 0xA0, Eoi = 0xB0, Ldr = 0xD0, Dfr = 0xE0, Svr = 0xF0, Isr = 0x100, Tmr = 0x180,
        Irr = 0x200, Esr = 0x280, IcrLow = 0x300, IcrHigh = 0x310, LvtTimer = 0x320, LvtLint1 = 0x360, LvtError = 0x370;

    private readonly List<byte> broadcasts = [];

    private LocalApic Create(bool enabled = true)
    {
        var apic = new LocalApic(new LocalApicOptions(), () => 0) { EndOfInterruptBroadcast = broadcasts.Add };
        if (enabled)
            apic.MmioWrite(Svr, 4, 0x1FF);
        return apic;
    }

    private static InterruptMessage Fixed(byte vector, bool level = false) => new(0, false, DeliveryMode.Fixed, vector, level);

    [Fact]
    public void Sdm_11_4_7_1_state_after_power_up()
    {
        var apic = Create(enabled: false);
        Assert.Equal(0xFFUL, apic.MmioRead(Svr, 4));
        Assert.Equal(0xFFFF_FFFFUL, apic.MmioRead(Dfr, 4));
        Assert.Equal(0x0005_0014UL, apic.MmioRead(Version, 4));
        Assert.Equal(0UL, apic.MmioRead(Id, 4));
        for (var offset = LvtTimer; offset <= LvtError; offset += 0x10)
            Assert.Equal(0x0001_0000UL, apic.MmioRead(offset, 4));
        Assert.True(apic.TryReadMsr(0x1B, out var apicBase));
        Assert.Equal(0xFEE0_0900UL, apicBase);
    }

    [Fact]
    public void Sdm_11_4_7_2_software_disabled_apic_refuses_fixed_interrupts_and_keeps_lvts_masked()
    {
        var apic = Create(enabled: false);
        Assert.False(apic.Accept(Fixed(0x40)));
        apic.MmioWrite(LvtTimer, 4, 0x40);
        Assert.Equal(0x0001_0040UL, apic.MmioRead(LvtTimer, 4));
        apic.MmioWrite(Svr, 4, 0x1FF);
        apic.MmioWrite(LvtTimer, 4, 0x40);
        Assert.Equal(0x40UL, apic.MmioRead(LvtTimer, 4));
        apic.MmioWrite(Svr, 4, 0xFF);
        Assert.Equal(0x0001_0040UL, apic.MmioRead(LvtTimer, 4));
    }

    [Fact]
    public void Sdm_11_8_4_highest_vector_is_served_first_and_same_class_does_not_nest()
    {
        var apic = Create();
        apic.Accept(Fixed(0x41));
        apic.Accept(Fixed(0x51));
        Assert.Equal(0x51, apic.Acknowledge());
        Assert.False(apic.InterruptPending);
        apic.Accept(Fixed(0x5F));
        Assert.False(apic.InterruptPending);
        apic.Accept(Fixed(0x60));
        Assert.Equal(0x60, apic.Acknowledge());
        apic.MmioWrite(Eoi, 4, 0);
        Assert.False(apic.InterruptPending);
        apic.MmioWrite(Eoi, 4, 0);
        Assert.Equal(0x5F, apic.Acknowledge());
    }

    [Fact]
    public void Sdm_11_8_3_1_task_priority_holds_back_its_class_and_below()
    {
        var apic = Create();
        apic.Accept(Fixed(0x4F));
        apic.MmioWrite(Tpr, 4, 0x40);
        Assert.False(apic.InterruptPending);
        Assert.Equal(0x40UL, apic.MmioRead(Ppr, 4));
        apic.MmioWrite(Tpr, 4, 0x3F);
        Assert.True(apic.InterruptPending);
        apic.Acknowledge();
        Assert.Equal(0x40UL, apic.MmioRead(Ppr, 4));
    }

    [Fact]
    public void Sdm_11_8_6_cr8_is_the_class_of_the_task_priority()
    {
        var apic = Create();
        apic.Cr8 = 0xA;
        Assert.Equal(0xA0UL, apic.MmioRead(Tpr, 4));
        apic.MmioWrite(Tpr, 4, 0x7C);
        Assert.Equal(7UL, apic.Cr8);
    }

    [Fact]
    public void Sdm_11_9_spurious_vector_enters_no_service()
    {
        var apic = Create();
        apic.Accept(Fixed(0x30));
        apic.Cr8 = 0xF;
        Assert.Equal(0xFF, apic.Acknowledge());
        Assert.Equal(0UL, apic.MmioRead(Isr + 0x70, 4));
        apic.Cr8 = 0;
        Assert.Equal(0x30, apic.Acknowledge());
    }

    [Fact]
    public void Sdm_11_8_5_eoi_is_broadcast_for_level_triggered_interrupts_only()
    {
        var apic = Create();
        apic.Accept(Fixed(0x35, level: true));
        Assert.Equal(1UL << 21, apic.MmioRead(Tmr + 0x10, 4));
        apic.Acknowledge();
        apic.MmioWrite(Eoi, 4, 0);
        apic.Accept(Fixed(0x35));
        apic.Acknowledge();
        apic.MmioWrite(Eoi, 4, 0);
        apic.MmioWrite(Eoi, 4, 0);
        Assert.Equal([0x35], broadcasts);
        Assert.Equal(0UL, apic.MmioRead(Tmr + 0x10, 4));
    }

    [Fact]
    public void Request_and_service_registers_show_one_bit_per_vector()
    {
        var apic = Create();
        apic.Accept(Fixed(0xEF));
        Assert.Equal(1UL << 15, apic.MmioRead(Irr + 0x70, 4));
        apic.Acknowledge();
        Assert.Equal(0UL, apic.MmioRead(Irr + 0x70, 4));
        Assert.Equal(1UL << 15, apic.MmioRead(Isr + 0x70, 4));
    }

    [Theory]
    [InlineData(0UL, 0x0004_0041UL)]
    [InlineData(0UL, 0x0000_0041UL)]
    [InlineData(0xFF00_0000UL, 0x0000_0041UL)]
    [InlineData(0UL, 0x0008_0041UL)]
    [InlineData(0x0200_0000UL, 0x0000_0841UL)]
    public void Sdm_11_6_1_fixed_ipi_reaches_this_cpu(ulong high, ulong low)
    {
        var apic = Create();
        apic.MmioWrite(Ldr, 4, 0x0300_0000);
        apic.MmioWrite(IcrHigh, 4, high);
        apic.MmioWrite(IcrLow, 4, low);
        Assert.Equal(0x41, apic.Acknowledge());
        Assert.Equal(low, apic.MmioRead(IcrLow, 4));
    }

    [Theory]
    [InlineData(0x0100_0000UL, 0x0000_0041UL)]
    [InlineData(0UL, 0x000C_0041UL)]
    [InlineData(0x0400_0000UL, 0x0000_0841UL)]
    public void Sdm_11_6_1_ipi_for_others_goes_nowhere(ulong high, ulong low)
    {
        var apic = Create();
        apic.MmioWrite(Ldr, 4, 0x0300_0000);
        apic.MmioWrite(IcrHigh, 4, high);
        apic.MmioWrite(IcrLow, 4, low);
        Assert.False(apic.InterruptPending);
    }

    [Fact]
    public void Sdm_11_6_2_2_cluster_model_compares_cluster_and_member()
    {
        var apic = Create();
        apic.MmioWrite(Dfr, 4, 0x0FFF_FFFF);
        apic.MmioWrite(Ldr, 4, 0x2100_0000);
        Assert.True(apic.Accept(new InterruptMessage(0x21, true, DeliveryMode.Fixed, 0x40, false)));
        Assert.True(apic.Accept(new InterruptMessage(0xF3, true, DeliveryMode.LowestPriority, 0x40, false)));
        Assert.False(apic.Accept(new InterruptMessage(0x31, true, DeliveryMode.Fixed, 0x40, false)));
        Assert.False(apic.Accept(new InterruptMessage(0x22, true, DeliveryMode.Fixed, 0x40, false)));
    }

    [Fact]
    public void Nmi_is_taken_once_from_ipi_and_from_the_ioapic()
    {
        var apic = Create();
        apic.MmioWrite(IcrLow, 4, 0x400);
        Assert.True(apic.TakeNmi());
        Assert.False(apic.TakeNmi());
        Assert.True(apic.Accept(new InterruptMessage(0, false, DeliveryMode.Nmi, 0, false)));
        Assert.True(apic.TakeNmi());
        Assert.False(apic.InterruptPending);
    }

    [Fact]
    public void Sdm_11_5_3_illegal_vectors_are_reported_by_esr_and_error_interrupt()
    {
        var apic = Create();
        apic.MmioWrite(LvtError, 4, 0xFE);
        apic.MmioWrite(IcrLow, 4, 0x0004_0005);
        Assert.Equal(0xFE, apic.Acknowledge());
        Assert.False(apic.Accept(Fixed(0x0F)));
        Assert.Equal(0UL, apic.MmioRead(Esr, 4));
        apic.MmioWrite(Esr, 4, 0);
        Assert.Equal(0x60UL, apic.MmioRead(Esr, 4));
        apic.MmioWrite(Esr, 4, 0);
        Assert.Equal(0UL, apic.MmioRead(Esr, 4));
    }

    [Fact]
    public void Error_lvt_with_illegal_vector_does_not_report_itself_for_ever()
    {
        var apic = Create();
        apic.MmioWrite(LvtError, 4, 0x05);
        apic.MmioRead(0x3F0, 4);
        apic.MmioWrite(Esr, 4, 0);
        Assert.Equal(0xC0UL, apic.MmioRead(Esr, 4));
    }

    [Fact]
    public void Sdm_11_4_1_accesses_other_than_aligned_32_bit_do_not_write()
    {
        var apic = Create();
        apic.MmioWrite(Tpr, 1, 0x50);
        apic.MmioWrite(Tpr + 4, 4, 0x50);
        Assert.Equal(0UL, apic.MmioRead(Tpr, 4));
        apic.MmioWrite(LvtLint1, 4, 0x400);
        Assert.Equal(0x04UL, apic.MmioRead(LvtLint1 + 1, 1));
    }

    [Fact]
    public void Snapshot_round_trip()
    {
        var apic = Create();
        apic.Accept(Fixed(0x35, level: true));
        apic.Accept(Fixed(0x85));
        apic.Acknowledge();
        apic.MmioWrite(Tpr, 4, 0x20);
        apic.MmioWrite(LvtTimer, 4, 0x2_0040);
        apic.MmioWrite(0x380, 4, 1000);
        SnapshotRoundTrip.Check(apic, () => Create(enabled: false));
    }
}
