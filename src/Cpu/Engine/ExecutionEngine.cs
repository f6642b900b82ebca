using FtAkka.Cpu.Architecture;
using FtAkka.Cpu.Decoding;
using FtAkka.Cpu.Memory;
using FtAkka.Cpu.State;
using FtAkka.Cpu.Translation;
using Iced.Intel;

namespace FtAkka.Cpu.Engine;

/// <summary>
/// Runs one vCPU: finds or translates blocks, enters them, and serves what they leave for. Deterministic by construction: where
/// a run stops, what is cached and how long blocks are is invisible to the guest.
/// </summary>
internal sealed unsafe partial class ExecutionEngine : ITranslationObserver, IDisposable
{
    /// <summary>Added to the countdown, so that the upper half of the slot turns zero exactly when it goes below zero.</summary>
    private const long BudgetBias = 1L << 32;
    private const long ChunkMax = 1L << 31;
    private const ulong EmittedFlags = 0xCD5;
    private const ulong InterruptFlag = 1UL << 9, TrapFlag = 1UL << 8, ResumeFlag = 1UL << 16, VirtualFlag = 1UL << 17, AlignmentFlag = 1UL << 18;

    /// <summary>
    /// Exceptions and interrupts delivered in a row without a retired instruction. A handler that cannot be fetched makes a real CPU
    /// deliver for ever; here it is a shutdown, so that Run always ends. No working system comes near.
    /// </summary>
    private const int DeliveriesWithoutProgressMax = 1000;

    private readonly HostCodeMemory _code;
    private readonly Stubs _stubs;
    private readonly JumpCache _jumps;
    private readonly SiteTables _tables = new();
    private readonly BlockTranslator _translator;
    private readonly GuestMemory _memory;
    private readonly Mmu _mmu;
    private readonly CpuContext _context;
    private readonly ICpuBus _bus;
    private readonly EngineState* _es;
    private readonly CpuState* _s;
    private readonly BlockMode[] _jumpMode = new BlockMode[2];
    private readonly VcpuStatistics _statistics = new();

    private long _left;
    private ulong _endIcount;
    private long _chunk;
    private bool _finishing;
    private bool _mappingDropped;
    private bool _x87Loaded;

    /// <summary>Results that the architecture leaves open are ours (<see cref="CpuSemantics"/>), and not the host's.</summary>
    private readonly bool _definesAll;

    /// <summary>The IA32_STAR that the segments in <see cref="EngineState"/> are from.</summary>
    private ulong _syscallStar;
    private int _deliveries;

    public ExecutionEngine(GuestMemory memory, CpuModel model, ICpuBus bus, VcpuOptions options)
    {
        _memory = memory;
        _bus = bus;
        int stateBytes = (sizeof(EngineState) + 4095) & ~4095;
        _code = new HostCodeMemory(options.CodeCacheBytes, JumpCache.DataBytes + stateBytes);
        _es = (EngineState*)(_code.LowData + JumpCache.DataBytes);
        _s = &_es->Cpu;
        _jumps = new JumpCache(_code.LowData);
        _stubs = new Stubs(_code);
        _mmu = new Mmu(_s, memory, bus) { Observer = this };
        _context = new CpuContext { State = _s, Mmu = _mmu, Bus = bus, Model = model };
        _translator = new BlockTranslator(_stubs, _mmu.Tlb, _jumps, _tables, _es, InstructionFeatures.Ftvm64V1, options);
        _es->FlagNoise = options.FlagNoiseSeed;
        _definesAll = options.Semantics >= CpuSemantics.UndefinedIsZero;
        _next = _stubs.End;
        _pageBlocks = new Block?[memory.PageCount];
        _pageLines = new ulong[memory.PageCount];
        MaxBlockInstructions = options.MaxBlockInstructions;
        CpuReset.ForLongMode(_s, new LongModeEntry { Rip = 0, Cr3 = 0, GdtBase = 0, GdtLimit = 0 });
        LoadSyscallSegments();
    }

    public CpuState* State => _s;
    public Mmu Mmu => _mmu;
    public CpuContext Context => _context;
    public VcpuStatistics Statistics => _statistics;

    /// <summary>Longest block to translate, 1 to <see cref="BlockTranslator.MaxInstructions"/>: a knob of the determinism tests.</summary>
    public int MaxBlockInstructions { get; set; }

    /// <summary>Set from inside a bus call: leave after the current instruction.</summary>
    public bool StopRequested { get; set; }

    /// <summary>Runs until <paramref name="budget"/> instructions retired or an earlier exit.</summary>
    public VcpuExitReason Run(ulong budget)
    {
        _left = checked((long)budget);
        _endIcount = _s->Icount + budget;
        _finishing = false;
        StopRequested = false;
        _mmu.IsExecuting = true;
        try
        {
            return Loop();
        }
        finally
        {
            _mmu.IsExecuting = false;
            SpillX87();
        }
    }

    private VcpuExitReason Loop()
    {
        while (true)
        {
            if (_s->Shutdown != 0)
            {
                return VcpuExitReason.Shutdown;
            }
            if (StopRequested)
            {
                return VcpuExitReason.StopRequested;
            }
            if (_left == 0)
            {
                return VcpuExitReason.BudgetSpent;
            }
            if (!DeliverPending())
            {
                return VcpuExitReason.Halted;
            }
            if (_s->Shutdown != 0)
            {
                continue;
            }
            if (_debugger)
            {
                if (StopsForDebugger(out bool stepped))
                {
                    return VcpuExitReason.Debug;
                }
                if (stepped)
                {
                    continue;
                }
            }
            BlockMode mode = CurrentMode();
            ForgetIdleShadow();
            if (_finishing || _s->InterruptShadow != 0 || (_s->Rflags & (TrapFlag | ResumeFlag | VirtualFlag)) != 0 || DebugTraps.AnyEnabled(_s))
            {
                StepOne(mode);
                continue;
            }
            nint entry = FindEntry(mode);
            if (entry != 0)
            {
                _chunk = Math.Min(_left, ChunkMax);
                _es->Budget = (ulong)(BudgetBias + _chunk);
                PrepareSyscalls();
                RunEmitted(entry);
            }
        }
    }

    /// <summary>What emitted SYSCALL and SYSRET need to know; none of it changes while emitted code runs.</summary>
    private void PrepareSyscalls()
    {
        if (_s->Star != _syscallStar)
        {
            LoadSyscallSegments();
        }
        bool fast = (_s->Efer & Efer.SyscallEnable) != 0 && _jumpMode[0] == 0 && _jumpMode[1] == BlockMode.User;
        _es->FastSyscallOff = fast ? (byte)0 : (byte)1;
    }

    private void LoadSyscallSegments()
    {
        _syscallStar = _s->Star;
        uint kernel = (uint)(_syscallStar >> 32) & 0xFFFC, user = (uint)(_syscallStar >> 48) & 0xFFFC;
        _es->SyscallCs = Packed(Segmentation.FlatCode64((ushort)kernel, 0));
        _es->SyscallSs = Packed(Segmentation.FlatData((ushort)(kernel + 8), 0));
        _es->SysretCs = Packed(Segmentation.FlatCode64((ushort)(user + 16 | 3), 3));
        _es->SysretSs = Packed(Segmentation.FlatData((ushort)(user + 8 | 3), 3));
    }

    private static ulong Packed(SegmentRegister register) => ((ulong*)&register)[1];

    /// <summary>
    /// A shadow that holds nothing back needs no single step: with no event pending, more than one instruction to run and nobody
    /// debugging, the run cannot stop before the shadow's instruction has retired or faulted, and either ends the shadow.
    /// </summary>
    private void ForgetIdleShadow()
    {
        if (_s->InterruptShadow != 0 && _left > 1 && !_finishing && !_debugger && (_s->InterruptLine | _s->NmiPending) == 0
            && (_s->Rflags & TrapFlag) == 0 && !DebugTraps.AnyEnabled(_s))
        {
            _s->InterruptShadow = 0;
        }
    }

    /// <summary>Delivers an NMI or external interrupt that is due. False: the CPU is halted and nothing wakes it.</summary>
    private bool DeliverPending()
    {
        bool interrupt = _s->InterruptLine != 0 && (_s->Rflags & InterruptFlag) != 0;
        bool nmi = _s->NmiPending != 0 && _s->NmiBlocked == 0;
        if (!interrupt && !nmi)
        {
            return _s->Halted == 0;
        }
        if (_s->InterruptShadow != 0)
        {
            return true;
        }
        _s->Halted = 0;
        if (nmi)
        {
            ExceptionDelivery.DeliverNmi(_context);
        }
        else
        {
            ExceptionDelivery.DeliverInterrupt(_context, _bus.AcknowledgeInterrupt());
            _statistics.Interrupts++;
        }
        CountDelivery();
        return true;
    }

    private void CountDelivery()
    {
        if (++_deliveries > DeliveriesWithoutProgressMax)
        {
            _context.Trace?.Invoke("shutdown: exceptions are delivered without end and no instruction retires");
            _s->Shutdown = 1;
        }
    }

    private BlockMode CurrentMode()
    {
        BlockMode mode = 0;
        if (_s->Cpl is 1 or 2)
        {
            mode = BlockMode.Inner;
        }
        if (_s->Cpl == 3)
        {
            mode = BlockMode.User;
            if ((_s->Rflags & AlignmentFlag) != 0 && (_s->Cr0 & Cr0.AlignmentMask) != 0)
            {
                mode |= BlockMode.AlignmentCheck;
            }
        }
        if ((_s->Cr0 & (Cr0.Emulation | Cr0.TaskSwitched)) != 0)
        {
            mode |= BlockMode.X87Trapped | BlockMode.SseTrapped;
        }
        if ((_s->Cr4 & Cr4.OsFxsr) == 0)
        {
            mode |= BlockMode.SseTrapped;
        }
        if (_s->MxcsrGuestMasks != 0x1F80)
        {
            mode |= BlockMode.SimdUnmasked;
        }
        if ((_s->FcwGuest & 0x3F) != 0x3F)
        {
            mode |= BlockMode.X87Unmasked;
        }
        return mode;
    }

    private static int SetOf(BlockMode mode) => (mode & BlockMode.User) != 0 ? 1 : 0;

    /// <summary>Host entry for the current RIP, or 0 after a fetch fault was delivered or the instruction was executed in C#.</summary>
    private nint FindEntry(BlockMode mode)
    {
        int set = SetOf(mode);
        if (_jumpMode[set] != mode)
        {
            _jumpMode[set] = mode;
            _jumps.ClearSet(set);
        }
        nint entry = _jumps.Find(set, _s->Rip);
        if (entry != 0)
        {
            return entry;
        }
        Block? block = GetBlock(_s->Rip, mode, out bool global);
        if (block == null)
        {
            return 0;
        }
        if (block.InstructionCount == 0)
        {
            if (!block.IsHostBreakpoint)
            {
                ExecuteSpecial(block.Special, mode);
            }
            return 0;
        }
        _jumps.Add(set, _s->Rip, block.Entry, global);
        return block.Entry;
    }

    /// <summary>Enters emitted code and serves its exits until control has to go back to the loop.</summary>
    private void RunEmitted(nint target)
    {
        LoadX87();
        while (target != 0)
        {
            _es->HostFlags = 0;
            if (_codeChanged)
            {
                _codeChanged = false;
                _stubs.RunSerialized(_es, target);
            }
            else
            {
                _stubs.Run(_es, target);
            }
            _s->Rflags = (_s->Rflags & ~EmittedFlags) | (_es->HostFlags & EmittedFlags);
            target = (ExitKind)_es->ExitKind switch
            {
                ExitKind.MemorySite => OnMemorySite(),
                ExitKind.BudgetExpired => OnBudgetExpired(),
                ExitKind.Special => OnSpecial(),
                ExitKind.IndirectMiss => OnIndirectMiss(),
                ExitKind.Link => OnLink(),
                ExitKind.ModeSwitch => OnModeSwitch(),
                _ => OnMidBlock(),
            };
        }
    }

    /// <summary>
    /// Takes what ran since the last settlement off the budget. <paramref name="counted"/>: instructions that the block's head has
    /// taken off the countdown but that did not run.
    /// </summary>
    private void Settle(int counted)
    {
        long remaining = (long)_es->Budget - BudgetBias + counted;
        long ran = _chunk - remaining;
        _chunk = 0;
        if (ran != 0)
        {
            _s->Rflags &= ~ResumeFlag;
        }
        Count(ran);
    }

    private void Count(long instructions)
    {
        _left -= instructions;
        _s->Icount = _endIcount - (ulong)_left;
        if (instructions != 0)
        {
            _deliveries = 0;
        }
    }

    private int NumberBehindCall() => *(int*)_es->ExitReturnAddress;

    private nint OnBudgetExpired()
    {
        _statistics.BudgetExits++;
        // The head is laid out as: number (4 bytes), call (5 bytes), entry; the return address is the entry.
        Block block = _tables.Block(*(int*)(_es->ExitReturnAddress - 9));
        Settle(block.InstructionCount);
        _s->Rip = block.LinearAddress;
        // Fewer instructions are left than the block has: one at a time from here.
        _finishing = _left < block.InstructionCount;
        return 0;
    }

    private nint OnSpecial()
    {
        _statistics.SpecialExits++;
        Block block = _tables.Block(NumberBehindCall());
        Settle(0);
        _s->Rip = block.Special.IP;
        if (_left > 0 && !block.IsHostBreakpoint)
        {
            ExecuteSpecial(block.Special, block.Mode);
        }
        return 0;
    }

    private nint OnMidBlock()
    {
        _statistics.SpecialExits++;
        ref Site site = ref _tables.Site(NumberBehindCall());
        Block block = _tables.Block(site.Block);
        Settle(block.InstructionCount - site.Index);
        _s->Rip = block.LinearAddress + site.Offset;
        _s->Rflags &= ~(ulong)site.Undefined;
        Instruction instruction = DecodeAt(block, site.Offset);
        ExecuteSpecial(instruction, block.Mode);
        return 0;
    }

    private nint OnIndirectMiss()
    {
        _statistics.IndirectMisses++;
        Block from = _tables.Block(NumberBehindCall());
        ulong target = _es->ScratchR14;
        if ((from.Mode & (BlockMode.Single | BlockMode.Bounce)) != 0)
        {
            Settle(0);
            _s->Rip = target;
            return 0;
        }
        Block? block = FindOrTranslate(target, from.Mode, out bool global);
        if (block == null)
        {
            return FetchFailed(target);
        }
        _jumps.Add(SetOf(from.Mode), target, block.Entry, global);
        return block.Entry;
    }

    private nint OnModeSwitch()
    {
        Settle(0);
        _s->Rip = _es->ScratchR14;
        return 0;
    }

    private nint OnLink()
    {
        ref Link link = ref _tables.Link(NumberBehindCall());
        Block from = _tables.Block(link.Block);
        ulong target = link.Target;
        if ((from.Mode & (BlockMode.Single | BlockMode.Bounce)) != 0)
        {
            Settle(0);
            _s->Rip = target;
            return 0;
        }
        _statistics.LinkExits++;
        int id = NumberBehindCall();
        bool samePage = link.SamePage;
        int generation = _generation;
        Block? block = FindOrTranslate(target, from.Mode, out bool global);
        if (block == null)
        {
            return FetchFailed(target);
        }
        bool far = !samePage && global && IsUpperHalf(target);
        if (generation == _generation && (samePage || far) && !block.Crossing && !from.Dead)
        {
            Connect(id, block, far);
        }
        else
        {
            _jumps.Add(SetOf(from.Mode), target, block.Entry, global);
        }
        return block.Entry;
    }

    /// <summary>The branch has retired; the instruction at its target cannot be fetched.</summary>
    private nint FetchFailed(ulong target)
    {
        GuestFault fault = _mmu.Fault;
        Settle(0);
        _s->Rip = target;
        if (_left > 0)
        {
            Raise(fault);
        }
        return 0;
    }

    /// <summary>Block at RIP; null after its fetch fault was delivered.</summary>
    private Block? GetBlock(ulong rip, BlockMode mode, out bool global)
    {
        Block? block = FindOrTranslate(rip, mode, out global);
        if (block == null)
        {
            Raise(_mmu.Fault);
        }
        return block;
    }

    private void Raise(in GuestFault fault)
    {
        _statistics.Exceptions++;
        ExceptionDelivery.DeliverFault(_context, fault);
        CountDelivery();
    }

    private void LoadX87()
    {
        if (!_x87Loaded)
        {
            // FXRSTOR loads MXCSR as well, and .NET code runs on it until the entry stub sets the guest's.
            *(uint*)(_s->Fx + 24) = 0x1F80;
            _stubs.LoadX87(_es);
            _x87Loaded = true;
        }
    }

    /// <summary>Brings the x87 image in <see cref="CpuState"/> up to date and makes it independent of the host.</summary>
    private void SpillX87()
    {
        if (_x87Loaded)
        {
            _stubs.SaveX87(_es);
            _x87Loaded = false;
            // FOP, FIP and FDP would be host values (Intel) or depend on pending exceptions (AMD).
            new Span<byte>(_s->Fx + 6, 18).Clear();
            new Span<byte>(_s->Fx + 24, 8).Clear();
            new Span<byte>(_s->Fx + 160, 512 - 160).Clear();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _mmu.Dispose();
        _code.Dispose();
    }
}
