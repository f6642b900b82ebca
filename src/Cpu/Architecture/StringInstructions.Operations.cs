using System.Runtime.CompilerServices;
using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Architecture;

/// <content>The seven operations: a bulk form on host pointers and a form for one element through the paging unit.</content>
internal static unsafe partial class StringInstructions
{
    /// <summary>Elements that fit the limit and the page; one at a time with 32-bit addresses, which may wrap anywhere.</summary>
    private static ulong Batch(in Run run, ulong limit, ulong inPage) => run.Narrow ? Math.Min(inPage, 1) : Math.Min(limit, inPage);

    private static Step Movs(CpuContext c, in Run run, ulong limit, out ulong iterations)
    {
        CpuState* s = c.State;
        ulong source = Source(s, in run), destination = Destination(s, in run);
        ulong batch = Math.Min(Batch(in run, limit, InPage(source, in run)), InPage(destination, in run));
        iterations = 0;
        Reach read = ReachForRead(c, in run, source, batch, out byte* from);
        if (read == Reach.Faulted)
            return Step.Faulted;
        byte* to = null;
        Reach write = read == Reach.Bulk ? ReachForWrite(c, in run, destination, batch, out to) : Reach.Single;
        if (write == Reach.Faulted)
            return Step.Faulted;
        // A read of a device register must not happen twice because the store faults after it.
        if (read == Reach.Single && batch != 0 && !c.TryProbeWrite(destination, run.Size, stack: false))
            return Step.Faulted;
        if (write == Reach.Bulk)
            Copy(from, to, run.Size, (long)batch, run.Backward);
        else if (c.TryRead(source, run.Size, stack: false, out ulong value) && c.TryWrite(destination, run.Size, stack: false, value))
            batch = 1;
        else
            return Step.Faulted;
        iterations = batch;
        Move(ref s->Gpr[6], in run, batch);
        Move(ref s->Gpr[7], in run, batch);
        return write == Reach.Bulk ? Step.Continue : Step.Yield;
    }

    /// <summary>
    /// Copies elements one after the other in the given direction, as far as the result can tell; the pointers are to the lowest elements.
    /// Host pointers are compared, so two linear mappings of one page overlap as they should.
    /// </summary>
    private static void Copy(byte* from, byte* to, int size, long elements, bool backward)
    {
        long bytes = elements * size;
        long distance = (long)(to - from);
        bool replicates = backward ? distance < 0 && -distance < bytes : distance > 0 && distance < bytes;
        if (!replicates)
        {
            Buffer.MemoryCopy(from, to, bytes, bytes);
            return;
        }
        long index = backward ? elements - 1 : 0;
        long step = backward ? -1 : 1;
        for (long n = 0; n < elements; n++, index += step)
            Store(to + (index * size), size, Load(from + (index * size), size));
    }

    private static ulong Load(byte* pointer, int size) => size switch
    {
        1 => *pointer,
        2 => Unsafe.ReadUnaligned<ushort>(pointer),
        4 => Unsafe.ReadUnaligned<uint>(pointer),
        _ => Unsafe.ReadUnaligned<ulong>(pointer),
    };

    private static void Store(byte* pointer, int size, ulong value)
    {
        switch (size)
        {
            case 1: *pointer = (byte)value; break;
            case 2: Unsafe.WriteUnaligned(pointer, (ushort)value); break;
            case 4: Unsafe.WriteUnaligned(pointer, (uint)value); break;
            default: Unsafe.WriteUnaligned(pointer, value); break;
        }
    }

    private static Step Stos(CpuContext c, in Run run, ulong limit, out ulong iterations)
    {
        CpuState* s = c.State;
        ulong destination = Destination(s, in run);
        ulong batch = Batch(in run, limit, InPage(destination, in run));
        iterations = 0;
        Reach write = ReachForWrite(c, in run, destination, batch, out byte* to);
        if (write == Reach.Faulted)
            return Step.Faulted;
        if (write == Reach.Bulk)
            Fill(to, run.Size, (int)batch, s->Gpr[0]);
        else if (c.TryWrite(destination, run.Size, stack: false, s->Gpr[0]))
            batch = 1;
        else
            return Step.Faulted;
        iterations = batch;
        Move(ref s->Gpr[7], in run, batch);
        return write == Reach.Bulk ? Step.Continue : Step.Yield;
    }

    private static void Fill(byte* to, int size, int elements, ulong value)
    {
        switch (size)
        {
            case 1: new Span<byte>(to, elements).Fill((byte)value); break;
            case 2: new Span<ushort>(to, elements).Fill((ushort)value); break;
            case 4: new Span<uint>(to, elements).Fill((uint)value); break;
            default: new Span<ulong>(to, elements).Fill(value); break;
        }
    }

    private static Step Lods(CpuContext c, in Run run, ulong limit, out ulong iterations)
    {
        CpuState* s = c.State;
        ulong source = Source(s, in run);
        ulong batch = Batch(in run, limit, InPage(source, in run));
        iterations = 0;
        Reach read = ReachForRead(c, in run, source, batch, out byte* from);
        if (read == Reach.Faulted)
            return Step.Faulted;
        ulong value;
        if (read == Reach.Bulk)
            value = Load(from + (run.Backward ? 0 : (long)(batch - 1) * run.Size), run.Size);
        else if (c.TryRead(source, run.Size, stack: false, out value))
            batch = 1;
        else
            return Step.Faulted;
        s->Gpr[0] = run.Size switch
        {
            1 => (s->Gpr[0] & ~0xFFul) | value,
            2 => (s->Gpr[0] & ~0xFFFFul) | value,
            _ => value,
        };
        iterations = batch;
        Move(ref s->Gpr[6], in run, batch);
        return read == Reach.Bulk ? Step.Continue : Step.Yield;
    }

    private static Step Cmps(CpuContext c, in Run run, ulong limit, out ulong iterations)
    {
        CpuState* s = c.State;
        ulong first = Source(s, in run), second = Destination(s, in run);
        ulong batch = Math.Min(Batch(in run, limit, InPage(first, in run)), InPage(second, in run));
        iterations = 0;
        byte* b = null;
        Reach reach = ReachForRead(c, in run, first, batch, out byte* a);
        if (reach == Reach.Bulk)
            reach = ReachForRead(c, in run, second, batch, out b);
        if (reach == Reach.Faulted)
            return Step.Faulted;
        ulong left, right;
        if (reach == Reach.Bulk)
        {
            long done = ComparePairs(a, b, in run, (long)batch);
            long last = run.Backward ? (long)batch - done : done - 1;
            left = Load(a + (last * run.Size), run.Size);
            right = Load(b + (last * run.Size), run.Size);
            batch = (ulong)done;
        }
        else if (c.TryRead(first, run.Size, stack: false, out left) && c.TryRead(second, run.Size, stack: false, out right))
        {
            batch = 1;
        }
        else
        {
            return Step.Faulted;
        }
        iterations = batch;
        Move(ref s->Gpr[6], in run, batch);
        Move(ref s->Gpr[7], in run, batch);
        return FinishComparison(s, in run, left, right, reach);
    }

    private static Step Scas(CpuContext c, in Run run, ulong limit, out ulong iterations)
    {
        CpuState* s = c.State;
        ulong address = Destination(s, in run);
        ulong batch = Batch(in run, limit, InPage(address, in run));
        ulong accumulator = run.Size == 8 ? s->Gpr[0] : s->Gpr[0] & ((1ul << (run.Size * 8)) - 1);
        iterations = 0;
        Reach reach = ReachForRead(c, in run, address, batch, out byte* p);
        if (reach == Reach.Faulted)
            return Step.Faulted;
        ulong value;
        if (reach == Reach.Bulk)
        {
            long done = ScanElements(p, in run, (long)batch, accumulator);
            long last = run.Backward ? (long)batch - done : done - 1;
            value = Load(p + (last * run.Size), run.Size);
            batch = (ulong)done;
        }
        else if (c.TryRead(address, run.Size, stack: false, out value))
        {
            batch = 1;
        }
        else
        {
            return Step.Faulted;
        }
        iterations = batch;
        Move(ref s->Gpr[7], in run, batch);
        return FinishComparison(s, in run, accumulator, value, reach);
    }

    /// <summary>Iterations of CMPS until the loop condition ends it or the batch is done, at least 1.</summary>
    private static long ComparePairs(byte* a, byte* b, in Run run, long elements)
    {
        int size = run.Size;
        if (!run.Backward && !run.StopOnEqual)
        {
            int equalBytes = new ReadOnlySpan<byte>(a, (int)elements * size).CommonPrefixLength(new ReadOnlySpan<byte>(b, (int)elements * size));
            return Math.Min(elements, (equalBytes / size) + 1);
        }
        long index = run.Backward ? elements - 1 : 0;
        long step = run.Backward ? -1 : 1;
        for (long n = 1; n < elements; n++, index += step)
        {
            if (Load(a + (index * size), size) == Load(b + (index * size), size) == run.StopOnEqual)
                return n;
        }
        return elements;
    }

    /// <summary>The same for SCAS.</summary>
    private static long ScanElements(byte* p, in Run run, long elements, ulong accumulator)
    {
        int size = run.Size;
        if (!run.Backward && size == 1)
        {
            var bytes = new ReadOnlySpan<byte>(p, (int)elements);
            int found = run.StopOnEqual ? bytes.IndexOf((byte)accumulator) : bytes.IndexOfAnyExcept((byte)accumulator);
            return found < 0 ? elements : found + 1;
        }
        long index = run.Backward ? elements - 1 : 0;
        long step = run.Backward ? -1 : 1;
        for (long n = 1; n < elements; n++, index += step)
        {
            if (Load(p + (index * size), size) == accumulator == run.StopOnEqual)
                return n;
        }
        return elements;
    }

    /// <summary>Flags of left - right, and whether the loop ends.</summary>
    private static Step FinishComparison(CpuState* s, in Run run, ulong left, ulong right, Reach reach)
    {
        s->Rflags = (s->Rflags & ~Rflags.Arithmetic) | SubtractFlags(left, right, run.Size);
        if (run.Repeat && left == right == run.StopOnEqual)
            return Step.ConditionMet;
        return reach == Reach.Bulk ? Step.Continue : Step.Yield;
    }

    /// <summary>Arithmetic flags of a subtraction (CMP) of zero-extended operands.</summary>
    internal static ulong SubtractFlags(ulong left, ulong right, int size)
    {
        int top = (size * 8) - 1;
        ulong mask = ulong.MaxValue >> (63 - top);
        ulong result = (left - right) & mask;
        ulong flags = left < right ? Rflags.Carry : 0;
        if ((System.Numerics.BitOperations.PopCount((byte)result) & 1) == 0)
            flags |= Rflags.Parity;
        flags |= (left ^ right ^ result) & Rflags.Adjust;
        if (result == 0)
            flags |= Rflags.Zero;
        if ((result >> top & 1) != 0)
            flags |= Rflags.Sign;
        if (((left ^ right) & (left ^ result)) >> top != 0)
            flags |= Rflags.Overflow;
        return flags;
    }

    /// <summary>One iteration of INS: all checks come before the port is read, because a read may change the device.</summary>
    private static Step Ins(CpuContext c, in Run run, out ulong iterations)
    {
        CpuState* s = c.State;
        ushort port = (ushort)s->Gpr[2];
        ulong destination = Destination(s, in run);
        iterations = 0;
        if (!TaskState.TryPermitPort(c, port, run.Size) || !c.TryProbeWrite(destination, run.Size, stack: false)
            || !c.IsAligned(destination, run.Size, write: true, stack: false))
            return Step.Faulted;
        if (!c.TryWrite(destination, run.Size, stack: false, c.Bus.PortRead(port, run.Size)))
            return Step.Faulted;
        iterations = 1;
        Move(ref s->Gpr[7], in run, 1);
        return Step.Yield;
    }

    private static Step Outs(CpuContext c, in Run run, out ulong iterations)
    {
        CpuState* s = c.State;
        ushort port = (ushort)s->Gpr[2];
        iterations = 0;
        if (!TaskState.TryPermitPort(c, port, run.Size) || !c.TryRead(Source(s, in run), run.Size, stack: false, out ulong value))
            return Step.Faulted;
        c.Bus.PortWrite(port, run.Size, (uint)value);
        iterations = 1;
        Move(ref s->Gpr[6], in run, 1);
        return Step.Yield;
    }
}
