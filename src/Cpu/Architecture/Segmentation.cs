using FtAkka.Cpu.State;

namespace FtAkka.Cpu.Architecture;

/// <summary>First eight bytes of a descriptor with its selector, and what they mean (Intel SDM vol. 3A, 3.4.5 and 3.5).</summary>
internal readonly record struct SegmentDescriptor(ushort Selector, ulong Raw, ulong Address)
{
    private const ulong AccessedBit = 1ul << 40;

    public uint Type => (uint)(Raw >> 40) & 15;
    /// <summary>Code or data segment, as opposed to a system descriptor.</summary>
    public bool IsUserSegment => (Raw >> 44 & 1) != 0;
    public uint Privilege => (uint)(Raw >> 45) & 3;
    public bool Present => (Raw >> 47 & 1) != 0;
    public bool IsCode => IsUserSegment && (Type & 8) != 0;
    public bool IsConforming => (Type & 4) != 0;
    public bool IsWritableData => IsUserSegment && (Type & 10) == 2;
    /// <summary>Data, or code that may be read.</summary>
    public bool IsReadable => IsUserSegment && (Type & 10) != 8;
    /// <summary>L set and D clear: 64-bit code, the only code this CPU runs.</summary>
    public bool Is64BitCode => (Raw >> 53 & 3) == 1;
    public bool Accessed => (Raw & AccessedBit) != 0;
    /// <summary>Base bits 0 to 31.</summary>
    public ulong Base => (Raw >> 16 & 0xFFFFFF) | (Raw >> 32 & 0xFF000000);

    /// <summary>Limit in bytes.</summary>
    public uint Limit
    {
        get
        {
            uint limit = (uint)(Raw & 0xFFFF) | ((uint)(Raw >> 32) & 0xF0000);
            return (Raw >> 55 & 1) != 0 ? limit << 12 | 0xFFF : limit;
        }
    }

    /// <summary>The register as it is after loading this descriptor (accessed bit set).</summary>
    public SegmentRegister ToRegister(ushort selector) => new()
    {
        Base = Base,
        Limit = Limit,
        Selector = selector,
        Attributes = (ushort)(((uint)((Raw | AccessedBit) >> 40)) & 0xF0FF),
    };
}

/// <summary>Outcome of a look-up in the GDT or LDT.</summary>
internal enum DescriptorLookup : byte
{
    Found,
    /// <summary>The selector points outside the table (or to an unusable LDT).</summary>
    OutsideTable,
    /// <summary>Reading the table faulted; <see cref="CpuContext.Fault"/> is set.</summary>
    Faulted,
}

/// <summary>Descriptor tables and segment register loads in 64-bit mode (Intel SDM vol. 3A, 3.4, 3.5, 5.8).</summary>
internal static unsafe class Segmentation
{
    /// <summary>The index part and table bit of a selector, as error codes carry it.</summary>
    public static uint ErrorCode(ushort selector) => (uint)selector & 0xFFFC;

    public static bool IsNull(ushort selector) => (selector & 0xFFFC) == 0;

    /// <summary>
    /// Looks a selector up without raising anything for a selector outside its table. <paramref name="slotBytes"/> is 8, or 16 for a
    /// system descriptor that needs its upper half.
    /// </summary>
    public static DescriptorLookup Lookup(CpuContext c, ushort selector, uint slotBytes, uint externalBit, out SegmentDescriptor descriptor)
    {
        CpuState* s = c.State;
        descriptor = default;
        uint offset = (uint)selector & 0xFFF8;
        ulong tableBase = s->GdtrBase;
        uint limit = s->GdtrLimit;
        if ((selector & 4) != 0)
        {
            if ((s->Ldtr.Attributes & 0x80) == 0)
                return DescriptorLookup.OutsideTable;
            tableBase = s->Ldtr.Base;
            limit = s->Ldtr.Limit;
        }
        if (offset + slotBytes - 1 > limit)
            return DescriptorLookup.OutsideTable;
        if (!c.TryReadSystem(tableBase + offset, 8, externalBit, out ulong raw))
            return DescriptorLookup.Faulted;
        descriptor = new SegmentDescriptor(selector, raw, tableBase + offset);
        return DescriptorLookup.Found;
    }

    /// <summary>Looks a non-null selector up; outside its table is <paramref name="vector"/>(selector).</summary>
    public static bool TryLookup(CpuContext c, ushort selector, uint slotBytes, byte vector, uint externalBit, out SegmentDescriptor descriptor) =>
        Lookup(c, selector, slotBytes, externalBit, out descriptor) switch
        {
            DescriptorLookup.Found => true,
            DescriptorLookup.OutsideTable => c.Refuse(vector, ErrorCode(selector) | externalBit),
            _ => false,
        };

    /// <summary>Sets the accessed bit of a descriptor in its table if it is clear.</summary>
    public static bool TryMarkAccessed(CpuContext c, in SegmentDescriptor descriptor, uint externalBit = 0) =>
        descriptor.Accessed || c.TryWriteSystem(descriptor.Address + 5, 1, externalBit, (byte)(descriptor.Raw >> 40) | 1u);

    /// <summary>A non-null code segment in its table; privilege, presence and mode are for the caller, who knows the order of checks.</summary>
    public static bool TryLookupCode(CpuContext c, ushort selector, uint externalBit, out SegmentDescriptor descriptor)
    {
        descriptor = default;
        if (IsNull(selector))
            return c.Refuse(Vector.GeneralProtection, externalBit);
        if (!TryLookup(c, selector, 8, Vector.GeneralProtection, externalBit, out descriptor))
            return false;
        return descriptor.IsCode || c.Refuse(Vector.GeneralProtection, ErrorCode(selector) | externalBit);
    }

    /// <summary>Present, 64-bit: #NP(selector), or #GP(selector) for code of a mode this CPU does not have.</summary>
    public static bool TryAcceptCode(CpuContext c, in SegmentDescriptor descriptor, uint externalBit)
    {
        uint code = ErrorCode(descriptor.Selector) | externalBit;
        if (!descriptor.Present)
            return c.Refuse(Vector.SegmentNotPresent, code);
        return descriptor.Is64BitCode || c.Refuse(Vector.GeneralProtection, code);
    }

    /// <summary>MOV/POP/Lfs/Lgs to DS, ES, FS or GS.</summary>
    public static bool TryLoadData(CpuContext c, SegmentIndex index, ushort selector)
    {
        CpuState* s = c.State;
        ref SegmentRegister register = ref CpuState.Segment(s, index);
        if (IsNull(selector))
        {
            // A null selector clears the base of FS and GS too (the vendor's behaviour; software tests for it).
            register = new SegmentRegister { Selector = selector };
            return true;
        }
        if (!TryLookup(c, selector, 8, Vector.GeneralProtection, 0, out SegmentDescriptor d))
            return false;
        bool checkPrivilege = !(d.IsCode && d.IsConforming);
        if (!d.IsReadable || (checkPrivilege && d.Privilege < Math.Max(selector & 3u, s->Cpl)))
            return c.Refuse(Vector.GeneralProtection, ErrorCode(selector));
        if (!d.Present)
            return c.Refuse(Vector.SegmentNotPresent, ErrorCode(selector));
        if (!TryMarkAccessed(c, in d))
            return false;
        register = d.ToRegister(selector);
        return true;
    }

    /// <summary>
    /// Checks a stack segment for code that will run at <paramref name="privilege"/> and gives the register to load. In 64-bit mode
    /// null is allowed below privilege 3 when its RPL is the privilege.
    /// </summary>
    public static bool TryPrepareStack(CpuContext c, ushort selector, uint privilege, out SegmentRegister register)
    {
        register = new SegmentRegister { Selector = selector };
        if (IsNull(selector))
            return (privilege != 3 && (selector & 3u) == privilege) || c.Refuse(Vector.GeneralProtection, 0);
        if (!TryLookup(c, selector, 8, Vector.GeneralProtection, 0, out SegmentDescriptor d))
            return false;
        if ((selector & 3u) != privilege || d.Privilege != privilege || !d.IsWritableData)
            return c.Refuse(Vector.GeneralProtection, ErrorCode(selector));
        if (!d.Present)
            return c.Refuse(Vector.StackFault, ErrorCode(selector));
        if (!TryMarkAccessed(c, in d))
            return false;
        register = d.ToRegister(selector);
        return true;
    }

    /// <summary>
    /// After a return to an outer level: data segments the new level may not use become null (SDM vol. 2, IRET and RET). The base
    /// of FS and GS stays; non-zero null selectors become zero.
    /// </summary>
    public static void DropInnerSegments(CpuState* state)
    {
        Drop(ref state->Es, state->Cpl);
        Drop(ref state->Ds, state->Cpl);
        Drop(ref state->Fs, state->Cpl);
        Drop(ref state->Gs, state->Cpl);

        static void Drop(ref SegmentRegister register, uint privilege)
        {
            bool conformingCode = (register.Attributes & 0x1C) == 0x1C;
            if (conformingCode || ((uint)register.Attributes >> 5 & 3) >= privilege)
                return;
            register.Selector = 0;
            register.Attributes = 0;
            register.Limit = 0;
        }
    }

    /// <summary>64-bit code segment as SYSCALL and SYSRET load it, without a descriptor table.</summary>
    public static SegmentRegister FlatCode64(ushort selector, uint privilege) => new()
    {
        Selector = selector,
        Limit = 0xFFFFFFFF,
        Attributes = (ushort)(0xA09B | privilege << 5),
    };

    /// <summary>Flat data segment as SYSCALL and SYSRET load it.</summary>
    public static SegmentRegister FlatData(ushort selector, uint privilege) => new()
    {
        Selector = selector,
        Limit = 0xFFFFFFFF,
        Attributes = (ushort)(0xC093 | privilege << 5),
    };
}
