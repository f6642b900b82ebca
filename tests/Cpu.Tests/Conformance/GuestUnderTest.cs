using FtAkka.Cpu.Verification;

namespace FtAkka.Cpu.Tests.Conformance;

/// <summary>
/// The engine's side of a conformance case: a guest whose linear addresses of code and data are those of the native runner, so that the
/// same bytes with the same registers mean the same.
/// </summary>
internal sealed class GuestUnderTest : IDisposable
{
    private const ulong MmioPhysical = 0xD000_0000;
    private const int SyncMargin = 128;
    private static readonly byte[] s_endlessLoop = [0xEB, 0xFE]; // jmp $

    private readonly NativeRunner _runner;
    private readonly MmioBus _bus = new();
    private readonly VerificationGuest _guest;
    private readonly ulong[] _dataPages = new ulong[NativeRunner.DataBytes / ScratchLayout.Page];
    private readonly ulong[] _codePages = new ulong[NativeRunner.CodeBytes / ScratchLayout.Page];

    public GuestUnderTest(NativeRunner runner, VcpuOptions? options = null)
    {
        _runner = runner;
        _guest = new VerificationGuest(4 << 20, _bus, options);
        for (int i = 0; i < _dataPages.Length; i++)
        {
            ulong linear = runner.DataAddress + (ulong)(i * ScratchLayout.Page);
            bool mmio = i is >= ScratchLayout.MmioStart / ScratchLayout.Page and < ScratchLayout.MmioEnd / ScratchLayout.Page;
            if (mmio)
            {
                // Not adjacent either: 0x3000 apart.
                _dataPages[i] = MmioPhysical + ((ulong)(i - (ScratchLayout.MmioStart / ScratchLayout.Page)) * 0x3000);
                _bus.AddPage(_dataPages[i]);
            }
            else
            {
                _dataPages[i] = AllocateScattered();
            }
            PageRights rights = i switch
            {
                ScratchLayout.ReadOnlyPage => PageRights.User | PageRights.NoExecute,
                ScratchLayout.SupervisorPage => PageRights.Write | PageRights.NoExecute,
                _ => PageRights.Write | PageRights.User | PageRights.NoExecute,
            };
            if (i is not (ScratchLayout.NotPresentPage or ScratchLayout.SecondNotPresentPage)) { _guest.Map(linear, _dataPages[i], rights); }
        }
        for (int i = 0; i < _codePages.Length; i++)
        {
            _codePages[i] = AllocateScattered();
            _guest.Map(runner.CodeAddress + (ulong)(i * ScratchLayout.Page), _codePages[i], PageRights.User);
        }
    }

    public ulong Icount => _guest.Vcpu.Icount;

    public VcpuStatistics Statistics => _guest.Vcpu.Statistics;

    /// <summary>Copies the runner's data near <paramref name="address"/> into the guest.</summary>
    public void CopyIn(ulong address) => Copy(address, SyncMargin, toGuest: true);

    /// <summary>Copies all of the runner's data into the guest.</summary>
    public void CopyInAll() => Copy(_runner.DataAddress + (NativeRunner.DataBytes / 2), NativeRunner.DataBytes, toGuest: true);

    /// <summary>First byte near <paramref name="address"/> where guest and runner differ, or null.</summary>
    public string? DataDifference(ulong address, int margin = SyncMargin)
    {
        (int start, int end) = Window(address, margin);
        Span<byte> actual = stackalloc byte[ScratchLayout.Page];
        while (start < end)
        {
            int chunk = Math.Min(end - start, ScratchLayout.Page - (start % ScratchLayout.Page));
            Access(start, actual[..chunk], toGuest: false);
            Span<byte> expected = _runner.Data.Slice(start, chunk);
            int common = expected.CommonPrefixLength(actual[..chunk]);
            if (common != chunk)
            {
                return $"memory at data+{start + common:x}: expected {expected[common]:x2}, got {actual[common]:x2}";
            }
            start += chunk;
        }
        return null;
    }

    public string? AllDataDifference() => DataDifference(_runner.DataAddress + (NativeRunner.DataBytes / 2), NativeRunner.DataBytes);

    /// <summary>Puts the instruction, and behind it and at the target an endless loop, into guest memory, and the state into the vCPU.</summary>
    public void Prepare(ConformanceCase @case, int ring)
    {
        WriteCode(@case.Initial.Rip + (ulong)@case.Bytes.Length, s_endlessLoop);
        if (@case.BranchTarget != 0) { WriteCode(@case.BranchTarget, s_endlessLoop); }
        WriteCode(@case.Initial.Rip, @case.Bytes);
        CopyInTouched(@case);
        Enter(@case.Initial, ring);
    }

    /// <summary>Puts a run of instructions, followed by an endless loop, into guest memory, and the state into the vCPU.</summary>
    public void PrepareSequence(MachineState initial, ReadOnlySpan<byte> code, int ring)
    {
        WriteCode(initial.Rip, code);
        WriteCode(initial.Rip + (ulong)code.Length, s_endlessLoop);
        Enter(initial, ring);
    }

    /// <summary>Copies what the generator has written since the last case.</summary>
    public void CopyInTouched(ConformanceCase @case)
    {
        foreach (ulong address in @case.Touched) { CopyIn(address); }
    }

    /// <summary>Runs <paramref name="budget"/> instructions: the one prepared, then rounds of the loop behind it.</summary>
    public VcpuExitReason Run(ulong budget) => _guest.Vcpu.Run(budget);

    /// <summary>Drops every cached translation of addresses: nobody may notice.</summary>
    public void FlushTranslations() => _guest.Vcpu.Mmu.FlushAll();

    public void Store(MachineState target) => _guest.Store(target);

    public DeliveredException? Exception() => _guest.Exception();

    public void Dispose() => _guest.Dispose();

    private void Enter(MachineState state, int ring)
    {
        _guest.EnterRing(ring);
        _guest.Load(state);
    }

    /// <summary>Every second page: what runs over a page end must not find the linear neighbour by luck.</summary>
    private ulong AllocateScattered()
    {
        _guest.AllocatePage();
        return _guest.AllocatePage();
    }

    private void WriteCode(ulong address, ReadOnlySpan<byte> bytes)
    {
        int offset = (int)(address - _runner.CodeAddress);
        while (bytes.Length > 0)
        {
            int chunk = Math.Min(bytes.Length, ScratchLayout.Page - (offset % ScratchLayout.Page));
            _guest.WritePhysical(_codePages[offset / ScratchLayout.Page] + (ulong)(offset % ScratchLayout.Page), bytes[..chunk]);
            bytes = bytes[chunk..];
            offset += chunk;
        }
    }

    private void Copy(ulong address, int margin, bool toGuest)
    {
        (int start, int end) = Window(address, margin);
        while (start < end)
        {
            int chunk = Math.Min(end - start, ScratchLayout.Page - (start % ScratchLayout.Page));
            Access(start, _runner.Data.Slice(start, chunk), toGuest);
            start += chunk;
        }
    }

    private (int Start, int End) Window(ulong address, int margin)
    {
        int offset = (int)(address - _runner.DataAddress);
        return (Math.Max(0, offset - margin), Math.Min(NativeRunner.DataBytes, offset + margin));
    }

    private void Access(int offset, Span<byte> bytes, bool toGuest)
    {
        ulong physical = _dataPages[offset / ScratchLayout.Page] + (ulong)(offset % ScratchLayout.Page);
        if (_bus.TryGet(physical, out Span<byte> page))
        {
            Span<byte> target = page[..bytes.Length];
            if (toGuest) { bytes.CopyTo(target); } else { target.CopyTo(bytes); }
        }
        else if (toGuest)
        {
            _guest.WritePhysical(physical, bytes);
        }
        else
        {
            _guest.ReadPhysical(physical, bytes);
        }
    }
}
