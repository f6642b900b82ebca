using System.Buffers.Binary;
using FtAkka.Cpu.State;
using Iced.Intel;
using unsafe Handler = delegate*<FtAkka.Cpu.Architecture.CpuContext, in Iced.Intel.Instruction, FtAkka.Cpu.Architecture.InstructionOutcome>;

namespace FtAkka.Cpu.Architecture;

/// <content>Control and state of x87 and SSE: everything that shows or changes exception masks, pending exceptions or the saved image.</content>
internal static unsafe partial class SystemInstructions
{
    private const int FxImageBytes = 512, FxWrittenBytes = 416, FxMxcsr = 24, FxRegisters = 32, FxXmm = 160;
    private const uint MxcsrMask = 0xFFFF;

    private static void AddX87(Handler[] table)
    {
        Add(table, &Wait, Code.Wait);
        Add(table, &Fninit, Code.Fninit);
        Add(table, &Fnclex, Code.Fnclex);
        Add(table, &Fldcw, Code.Fldcw_m2byte);
        Add(table, &Fnstcw, Code.Fnstcw_m2byte);
        Add(table, &Fnstsw, Code.Fnstsw_m2byte, Code.Fnstsw_AX);
        Add(table, &Fldenv, Code.Fldenv_m14byte, Code.Fldenv_m28byte);
        Add(table, &Fnstenv, Code.Fnstenv_m14byte, Code.Fnstenv_m28byte);
        Add(table, &Frstor, Code.Frstor_m94byte, Code.Frstor_m108byte);
        Add(table, &Fnsave, Code.Fnsave_m94byte, Code.Fnsave_m108byte);
        Add(table, &Fxsave, Code.Fxsave_m512byte, Code.Fxsave64_m512byte);
        Add(table, &Fxrstor, Code.Fxrstor_m512byte, Code.Fxrstor64_m512byte);
        Add(table, &Ldmxcsr, Code.Ldmxcsr_m32);
        Add(table, &Stmxcsr, Code.Stmxcsr_m32);
    }

    private static InstructionOutcome Wait(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        const ulong Both = Cr0.MonitorCoprocessor | Cr0.TaskSwitched;
        if ((s->Cr0 & Both) == Both)
            return c.Raise(GuestFault.Of(Vector.DeviceNotAvailable));
        return X87.IsPending(s) ? c.Raise(GuestFault.Of(Vector.X87Error)) : c.Retire(in i);
    }

    private static InstructionOutcome Fninit(CpuContext c, in Instruction i)
    {
        if (!X87.TryEnter(c, waiting: false))
            return InstructionOutcome.Fault;
        X87.Initialize(c.State);
        return c.Retire(in i);
    }

    private static InstructionOutcome Fnclex(CpuContext c, in Instruction i)
    {
        if (!X87.TryEnter(c, waiting: false))
            return InstructionOutcome.Fault;
        X87.SetStatus(c.State, (ushort)(X87.HostStatus(c.State) & 0x7F00));
        return c.Retire(in i);
    }

    private static bool TryReadExplicit(CpuContext c, in Instruction i, Span<byte> destination) =>
        c.TryReadBytes(EffectiveAddress.Compute(c.State, in i), destination, EffectiveAddress.IsStack(in i));

    private static InstructionOutcome WriteExplicit(CpuContext c, in Instruction i, ReadOnlySpan<byte> source) =>
        c.TryWriteBytes(EffectiveAddress.Compute(c.State, in i), source, EffectiveAddress.IsStack(in i)) ? c.Retire(in i) : InstructionOutcome.Fault;

    private static InstructionOutcome Fldcw(CpuContext c, in Instruction i)
    {
        Span<byte> word = stackalloc byte[2];
        if (!X87.TryEnter(c, waiting: true) || !TryReadExplicit(c, in i, word))
            return InstructionOutcome.Fault;
        X87.SetControl(c.State, BinaryPrimitives.ReadUInt16LittleEndian(word));
        return c.Retire(in i);
    }

    private static InstructionOutcome Fnstcw(CpuContext c, in Instruction i) =>
        X87.TryEnter(c, waiting: false) ? StoreWord(c, in i, c.State->FcwGuest) : InstructionOutcome.Fault;

    private static InstructionOutcome Fnstsw(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        return X87.TryEnter(c, waiting: false) ? StoreWord(c, in i, X87.GuestStatus(s)) : InstructionOutcome.Fault;
    }

    /// <summary>
    /// The environment in protected-mode layout (SDM vol. 1, figures 8-9 and 8-11): control, status and tag word, and four pointers that are zero here.
    /// <paramref name="bytes"/> is 14 or 28 long and decides the layout; in the long one the upper half of 16-bit fields is all ones.
    /// </summary>
    private static void WriteEnvironment(CpuState* s, Span<byte> bytes)
    {
        bytes.Clear();
        int slot = bytes.Length / 7;
        if (slot == 4)
        {
            foreach (int field in (ReadOnlySpan<int>)[0, 1, 2, 6])
                BinaryPrimitives.WriteUInt16LittleEndian(bytes[((field * 4) + 2)..], 0xFFFF);
        }
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, s->FcwGuest);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[slot..], X87.GuestStatus(s));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[(2 * slot)..], X87.FullTags(s));
    }

    private static int EnvironmentBytes(Code code) => code is Code.Fldenv_m14byte or Code.Fnstenv_m14byte or Code.Frstor_m94byte or Code.Fnsave_m94byte ? 14 : 28;

    private static InstructionOutcome Fnstenv(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (!X87.TryEnter(c, waiting: false))
            return InstructionOutcome.Fault;
        Span<byte> image = stackalloc byte[28];
        image = image[..EnvironmentBytes(i.Code)];
        WriteEnvironment(s, image);
        InstructionOutcome outcome = WriteExplicit(c, in i, image);
        if (outcome == InstructionOutcome.Retired)
            X87.SetControl(s, (ushort)(s->FcwGuest | 0x3F));
        return outcome;
    }

    private static InstructionOutcome Fldenv(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        Span<byte> image = stackalloc byte[28];
        image = image[..EnvironmentBytes(i.Code)];
        if (!X87.TryEnter(c, waiting: true) || !TryReadExplicit(c, in i, image))
            return InstructionOutcome.Fault;
        int slot = image.Length / 7;
        X87.SetControl(s, BinaryPrimitives.ReadUInt16LittleEndian(image));
        X87.SetStatusKeepingRegisters(s, BinaryPrimitives.ReadUInt16LittleEndian(image[slot..]));
        X87.Tags(s) = X87.Abridge(BinaryPrimitives.ReadUInt16LittleEndian(image[(2 * slot)..]));
        return c.Retire(in i);
    }

    private static InstructionOutcome Fnsave(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (!X87.TryEnter(c, waiting: false))
            return InstructionOutcome.Fault;
        int environment = EnvironmentBytes(i.Code);
        Span<byte> image = stackalloc byte[108];
        image = image[..(environment + (8 * X87.RegisterBytes))];
        WriteEnvironment(s, image[..environment]);
        for (int n = 0; n < 8; n++)
            new ReadOnlySpan<byte>(X87.Register(s, n), X87.RegisterBytes).CopyTo(image[(environment + (n * X87.RegisterBytes))..]);
        InstructionOutcome outcome = WriteExplicit(c, in i, image);
        if (outcome == InstructionOutcome.Retired)
            X87.Initialize(s);
        return outcome;
    }

    private static InstructionOutcome Frstor(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        int environment = EnvironmentBytes(i.Code);
        Span<byte> image = stackalloc byte[108];
        image = image[..(environment + (8 * X87.RegisterBytes))];
        if (!X87.TryEnter(c, waiting: true) || !TryReadExplicit(c, in i, image))
            return InstructionOutcome.Fault;
        int slot = environment / 7;
        X87.SetControl(s, BinaryPrimitives.ReadUInt16LittleEndian(image));
        X87.SetStatus(s, BinaryPrimitives.ReadUInt16LittleEndian(image[slot..]));
        X87.Tags(s) = X87.Abridge(BinaryPrimitives.ReadUInt16LittleEndian(image[(2 * slot)..]));
        for (int n = 0; n < 8; n++)
            image.Slice(environment + (n * X87.RegisterBytes), X87.RegisterBytes).CopyTo(new Span<byte>(X87.Register(s, n), X87.RegisterBytes));
        return c.Retire(in i);
    }

    /// <summary>FXSAVE and FXSAVE64 differ in pointers only, and those are zero. Bytes 416 to 511 are checked but left alone.</summary>
    private static InstructionOutcome Fxsave(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        if (!TryEnterFx(c, in i, out ulong address) || !c.TryProbeWrite(address, FxImageBytes, EffectiveAddress.IsStack(in i)))
            return InstructionOutcome.Fault;
        Span<byte> image = stackalloc byte[FxWrittenBytes];
        image.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(image, s->FcwGuest);
        BinaryPrimitives.WriteUInt16LittleEndian(image[2..], X87.GuestStatus(s));
        image[4] = X87.Tags(s);
        BinaryPrimitives.WriteUInt32LittleEndian(image[FxMxcsr..], s->Mxcsr);
        BinaryPrimitives.WriteUInt32LittleEndian(image[(FxMxcsr + 4)..], MxcsrMask);
        for (int n = 0; n < 8; n++)
            new ReadOnlySpan<byte>(X87.Register(s, n), X87.RegisterBytes).CopyTo(image[(FxRegisters + (n * 16))..]);
        for (int n = 0; n < 16; n++)
            new ReadOnlySpan<byte>(s->Vector + (n * 32), 16).CopyTo(image[(FxXmm + (n * 16))..]);
        return c.TryWriteBytes(address, image, EffectiveAddress.IsStack(in i)) ? c.Retire(in i) : InstructionOutcome.Fault;
    }

    private static InstructionOutcome Fxrstor(CpuContext c, in Instruction i)
    {
        CpuState* s = c.State;
        Span<byte> image = stackalloc byte[FxImageBytes];
        if (!TryEnterFx(c, in i, out ulong address) || !c.TryReadBytes(address, image, EffectiveAddress.IsStack(in i)))
            return InstructionOutcome.Fault;
        bool sse = (s->Cr4 & Cr4.OsFxsr) != 0;
        uint mxcsr = BinaryPrimitives.ReadUInt32LittleEndian(image[FxMxcsr..]);
        if (sse && (mxcsr & ~MxcsrMask) != 0)
            return c.RaiseGp();
        X87.SetControl(s, BinaryPrimitives.ReadUInt16LittleEndian(image));
        X87.SetStatus(s, BinaryPrimitives.ReadUInt16LittleEndian(image[2..]));
        X87.Tags(s) = image[4];
        for (int n = 0; n < 8; n++)
            image.Slice(FxRegisters + (n * 16), X87.RegisterBytes).CopyTo(new Span<byte>(X87.Register(s, n), X87.RegisterBytes));
        if (!sse)
            return c.Retire(in i);
        s->Mxcsr = mxcsr;
        for (int n = 0; n < 16; n++)
            image.Slice(FxXmm + (n * 16), 16).CopyTo(new Span<byte>(s->Vector + (n * 32), 16));
        return c.Retire(in i);
    }

    /// <summary>#NM, and #GP(0) unless the image is 16-byte aligned.</summary>
    private static bool TryEnterFx(CpuContext c, in Instruction i, out ulong address)
    {
        address = EffectiveAddress.Compute(c.State, in i);
        return X87.TryEnter(c, waiting: false) && ((address & 15) == 0 || c.Refuse(Vector.GeneralProtection, 0));
    }

    private static InstructionOutcome Ldmxcsr(CpuContext c, in Instruction i)
    {
        Span<byte> bytes = stackalloc byte[4];
        if (!X87.TryEnterSse(c) || !TryReadExplicit(c, in i, bytes))
            return InstructionOutcome.Fault;
        uint value = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        if ((value & ~MxcsrMask) != 0)
            return c.RaiseGp();
        c.State->Mxcsr = value;
        return c.Retire(in i);
    }

    private static InstructionOutcome Stmxcsr(CpuContext c, in Instruction i)
    {
        if (!X87.TryEnterSse(c))
            return InstructionOutcome.Fault;
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, c.State->Mxcsr);
        return WriteExplicit(c, in i, bytes);
    }
}
