using FtAkka.Machine.Interrupts;

namespace FtAkka.Machine.Tests.Interrupts;

/// <summary>x2APIC mode and IA32_APIC_BASE (Intel SDM vol. 3A, 11.12).</summary>
public sealed class X2ApicTests
{
    private const ulong XApicBase = 0xFEE0_0900, X2ApicBase = 0xFEE0_0D00, DisabledBase = 0xFEE0_0100;

    private static LocalApic Create(bool x2Apic = true, uint id = 0)
    {
        var apic = new LocalApic(new LocalApicOptions { ApicId = id }, () => 0);
        if (x2Apic)
            Assert.True(apic.TryWriteMsr(0x1B, X2ApicBase));
        return apic;
    }

    [Fact]
    public void Registers_leave_mmio_and_appear_as_msrs()
    {
        var apic = Create(x2Apic: false);
        Assert.Equal(0xFEE0_0000UL, apic.MmioPage);
        Assert.False(apic.TryReadMsr(0x802, out _));
        Assert.True(apic.TryWriteMsr(0x1B, X2ApicBase));
        Assert.Null(apic.MmioPage);
        Assert.True(apic.TryReadMsr(0x803, out var version));
        Assert.Equal(0x0005_0014UL, version);
    }

    [Theory]
    [InlineData(0x0CU, 0x0000_1000UL)]
    [InlineData(0x25U, 0x0002_0020UL)]
    public void Sdm_11_12_10_2_logical_id_follows_from_the_id(uint id, ulong logical)
    {
        var apic = Create(id: id);
        apic.TryReadMsr(0x802, out var shownId);
        apic.TryReadMsr(0x80D, out var shownLogical);
        Assert.Equal((id, logical), ((uint)shownId, shownLogical));
    }

    [Theory]
    [InlineData(0x802U, 0UL)]
    [InlineData(0x803U, 0UL)]
    [InlineData(0x80BU, 1UL)]
    [InlineData(0x80DU, 0x1UL)]
    [InlineData(0x80EU, 0x1UL)]
    [InlineData(0x828U, 1UL)]
    [InlineData(0x831U, 1UL)]
    [InlineData(0x839U, 1UL)]
    [InlineData(0x83FU, 0x100UL)]
    [InlineData(0x808U, 0x100UL)]
    [InlineData(0x80FU, 0x1000UL)]
    [InlineData(0x832U, 0x1_0000_0000UL)]
    [InlineData(0x830U, 0x1000UL)]
    [InlineData(0x840U, 0UL)]
    public void Sdm_11_12_1_3_write_of_read_only_register_or_reserved_bit_is_refused(uint msr, ulong value) =>
        Assert.False(Create().TryWriteMsr(msr, value));

    [Theory]
    [InlineData(0x80BU)]
    [InlineData(0x80EU)]
    [InlineData(0x831U)]
    [InlineData(0x83FU)]
    [InlineData(0x809U)]
    [InlineData(0x8FFU)]
    public void Sdm_11_12_1_3_read_of_write_only_or_absent_register_is_refused(uint msr) =>
        Assert.False(Create().TryReadMsr(msr, out _));

    [Fact]
    public void Sdm_11_12_11_self_ipi_and_64_bit_icr_request_interrupts()
    {
        var apic = Create();
        apic.TryWriteMsr(0x80F, 0x1FF);
        Assert.True(apic.TryWriteMsr(0x83F, 0x41));
        Assert.Equal(0x41, apic.Acknowledge());
        Assert.True(apic.TryWriteMsr(0x80B, 0));
        Assert.True(apic.TryWriteMsr(0x830, 0xFFFF_FFFF_0000_0042));
        Assert.Equal(0x42, apic.Acknowledge());
        Assert.True(apic.TryWriteMsr(0x830, 0x0000_0005_0000_0090));
        Assert.False(apic.InterruptPending);
        Assert.True(apic.TryReadMsr(0x830, out var icr));
        Assert.Equal(0x0000_0005_0000_0090UL, icr);
    }

    [Fact]
    public void Sdm_11_12_5_only_legal_mode_transitions_are_taken()
    {
        var apic = Create(x2Apic: false);
        Assert.False(apic.TryWriteMsr(0x1B, 0xFEE0_0400));
        Assert.True(apic.TryWriteMsr(0x1B, X2ApicBase));
        Assert.False(apic.TryWriteMsr(0x1B, XApicBase));
        Assert.True(apic.TryWriteMsr(0x1B, DisabledBase));
        Assert.False(apic.TryWriteMsr(0x1B, X2ApicBase));
        Assert.True(apic.TryWriteMsr(0x1B, XApicBase));
    }

    [Fact]
    public void Reserved_bits_of_the_apic_base_are_refused_and_the_bsp_bit_stays()
    {
        var apic = new LocalApic(new LocalApicOptions { X2ApicSupported = false, PhysicalAddressBits = 36 }, () => 0);
        Assert.False(apic.TryWriteMsr(0x1B, X2ApicBase));
        Assert.False(apic.TryWriteMsr(0x1B, XApicBase | 1UL << 36));
        Assert.False(apic.TryWriteMsr(0x1B, XApicBase | 1));
        Assert.True(apic.TryWriteMsr(0x1B, 0x8_0000_0800));
        Assert.Equal(0x8_0000_0000UL, apic.MmioPage);
        apic.TryReadMsr(0x1B, out var value);
        Assert.Equal(0x8_0000_0900UL, value);
    }

    [Fact]
    public void Sdm_11_4_3_disabling_resets_everything()
    {
        var apic = Create(x2Apic: false);
        apic.MmioWrite(0xF0, 4, 0x1FF);
        apic.Accept(new InterruptMessage(0, false, DeliveryMode.Fixed, 0x40, false));
        Assert.True(apic.InterruptPending);
        apic.TryWriteMsr(0x1B, DisabledBase);
        Assert.False(apic.InterruptPending);
        Assert.False(apic.Accept(new InterruptMessage(0, false, DeliveryMode.Nmi, 0, false)));
        apic.TryWriteMsr(0x1B, XApicBase);
        Assert.Equal(0xFFUL, apic.MmioRead(0xF0, 4));
    }
}
