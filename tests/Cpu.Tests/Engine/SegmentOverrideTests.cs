using FtAkka.Cpu.Tests.Engine;

namespace FtAkka.Cpu.Tests;

/// <summary>A segment override on a register form has no meaning; the translator once carried it over to the frame slot of a spilled register.</summary>
public sealed unsafe class SegmentOverrideTests
{
    [Theory]
    [InlineData((byte)0x64)]
    [InlineData((byte)0x65)]
    public void Override_on_a_register_form_with_a_spilled_register_is_ignored(byte prefix)
    {
        using var guest = new GuestHarness();
        // fs/gs: movsxd r11, r14d ; fs/gs: xor r8b, r15b ; hlt
        guest.Write(GuestHarness.Code, [prefix, 0x4D, 0x63, 0xDE, prefix, 0x45, 0x32, 0xC7, 0xF4]);
        guest.State->Gpr[14] = 0xFFFF_FFFE;
        guest.State->Gpr[15] = 0x0F;
        guest.State->Gpr[8] = 0xF0;

        Assert.Equal(VcpuExitReason.Halted, guest.Vcpu.Run(10));

        Assert.Equal(unchecked((ulong)-2), guest.State->Gpr[11]);
        Assert.Equal(0xFFUL, guest.State->Gpr[8]);
    }
}
