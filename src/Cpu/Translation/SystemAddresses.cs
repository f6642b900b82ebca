using FtAkka.Cpu.Engine;
using FtAkka.Cpu.State;
using Iced.Intel;

namespace FtAkka.Cpu.Translation;

/// <summary>Host addresses, below 2 GiB, of the state that emitted system instructions read and write.</summary>
internal sealed unsafe class SystemAddresses(EngineState* state)
{
    private readonly CpuState* _cpu = &state->Cpu;

    public long InterruptLine => (long)&_cpu->InterruptLine;
    public long KernelGsBase => (long)&_cpu->KernelGsBase;
    public long Cr0 => (long)&_cpu->Cr0;
    public long Cr2 => (long)&_cpu->Cr2;
    public long Cr3 => (long)&_cpu->Cr3;
    public long Cr4 => (long)&_cpu->Cr4;
    public long Cpl => (long)&_cpu->Cpl;
    public long Cs => (long)&_cpu->Cs;
    public long Ss => (long)&_cpu->Ss;
    public long Fmask => (long)&_cpu->Fmask;
    public long Lstar => (long)&_cpu->Lstar;
    public long FastSyscallOff => (long)&state->FastSyscallOff;
    public long FlagNoise => (long)&state->FlagNoise;
    public long KeptFlags => (long)&state->KeptFlags;
    public long SyscallCs => (long)&state->SyscallCs;
    public long SyscallSs => (long)&state->SyscallSs;
    public long SysretCs => (long)&state->SysretCs;
    public long SysretSs => (long)&state->SysretSs;

    /// <summary>The selector of ES, CS, SS, DS, FS or GS.</summary>
    public long Selector(Register register) =>
        (long)&(&_cpu->Es)[register - Register.ES].Selector;
}
