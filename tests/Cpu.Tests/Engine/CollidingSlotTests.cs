using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.Cpu.Tests.Engine;

/// <summary>
/// Instructions with two accesses whose pages select the same slot of the soft TLB (256 MiB apart). Each miss once restarted the instruction, so the two
/// evicted each other for ever: a guest process in some hundreds hung.
/// </summary>
public sealed class CollidingSlotTests
{
    private const ulong FarBytes = 0x1000_0000;

    private static GuestHarness Guest(Action<Assembler> build)
    {
        var guest = new GuestHarness();
        // 256 MiB up: the 2 MiB of RAM at 2 MiB.
        guest.Write64(GuestHarness.Pd + (8 * (FarBytes >> 21)), 0x20_0000 | GuestHarness.Present | GuestHarness.Writable | GuestHarness.User | GuestHarness.LargePage);
        guest.Assemble(build);
        return guest;
    }

    private static void RunsToHalt(GuestHarness guest)
    {
        Task<VcpuExitReason> run = Task.Run(() => guest.Vcpu.Run(1000));
        Assert.True(run.Wait(TimeSpan.FromSeconds(30)), "the vCPU runs without retiring instructions");
        Assert.Equal(VcpuExitReason.Halted, run.Result);
    }

    [Fact]
    public unsafe void Push_and_pop_between_colliding_pages_move_the_value()
    {
        using GuestHarness guest = Guest(a =>
        {
            a.mov(rsp, FarBytes + GuestHarness.Data + 0x800);
            a.mov(ebx, (uint)GuestHarness.Data);
            a.push(__qword_ptr[rbx + 0x10]);
            a.pop(__qword_ptr[rbx + 0x20]);
            a.hlt();
        });
        guest.Write64(GuestHarness.Data + 0x10, 0x1234_5678_9ABC_DEF0);

        RunsToHalt(guest);

        Assert.Equal(0x1234_5678_9ABC_DEF0UL, guest.Read64(GuestHarness.Data + 0x20));
        Assert.Equal(FarBytes + GuestHarness.Data + 0x800, guest.State->Gpr[4]);
        Assert.Equal(5UL, guest.Vcpu.Icount);
    }

    [Fact]
    public unsafe void Call_through_a_colliding_page_arrives()
    {
        using GuestHarness guest = Guest(a =>
        {
            a.mov(rsp, FarBytes + GuestHarness.Data + 0x800);
            a.mov(ebx, (uint)GuestHarness.Data);
            a.call(__qword_ptr[rbx + 0x10]);
            a.hlt();
        });
        guest.Write64(GuestHarness.Data + 0x10, GuestHarness.Handlers);
        guest.Assemble(a =>
        {
            a.mov(eax, 77);
            a.ret();
        }, GuestHarness.Handlers);

        RunsToHalt(guest);

        Assert.Equal(77UL, guest.State->Gpr[0]);
        Assert.Equal(6UL, guest.Vcpu.Icount);
    }
}
