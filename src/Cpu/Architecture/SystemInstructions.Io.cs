using Iced.Intel;
using unsafe Handler = delegate*<FtAkka.Cpu.Architecture.CpuContext, in Iced.Intel.Instruction, FtAkka.Cpu.Architecture.InstructionOutcome>;

namespace FtAkka.Cpu.Architecture;

/// <content>IN and OUT (the string forms are in <see cref="StringInstructions"/>).</content>
internal static unsafe partial class SystemInstructions
{
    private static void AddIo(Handler[] table)
    {
        Add(table, &In, Code.In_AL_imm8, Code.In_AX_imm8, Code.In_EAX_imm8, Code.In_AL_DX, Code.In_AX_DX, Code.In_EAX_DX);
        Add(table, &Out, Code.Out_imm8_AL, Code.Out_imm8_AX, Code.Out_imm8_EAX, Code.Out_DX_AL, Code.Out_DX_AX, Code.Out_DX_EAX);
    }

    private static int SizeOf(Register accumulator) => accumulator switch { Register.AL => 1, Register.AX => 2, _ => 4 };

    private static InstructionOutcome In(CpuContext c, in Instruction i)
    {
        int size = SizeOf(i.Op0Register);
        ushort port = i.Op1Kind == OpKind.Immediate8 ? i.Immediate8 : (ushort)c.State->Gpr[2];
        if (!TaskState.TryPermitPort(c, port, size))
            return InstructionOutcome.Fault;
        c.WriteRegister(i.Op0Register, c.Bus.PortRead(port, size));
        return c.Retire(in i);
    }

    private static InstructionOutcome Out(CpuContext c, in Instruction i)
    {
        int size = SizeOf(i.Op1Register);
        ushort port = i.Op0Kind == OpKind.Immediate8 ? i.Immediate8 : (ushort)c.State->Gpr[2];
        if (!TaskState.TryPermitPort(c, port, size))
            return InstructionOutcome.Fault;
        c.Bus.PortWrite(port, size, (uint)c.ReadRegister(i.Op1Register));
        return c.Retire(in i);
    }
}
