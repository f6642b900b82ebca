using System.Text;
using FtAkka.Cpu.Memory;

namespace FtAkka.Cpu.Tests.Memory;

/// <summary>
/// A pool of pages that hold page tables and are mapped as data as well, changed at random: after every step each cached translation must
/// be what a fresh walk would find. In the tangled variant each page serves at every level at once; in the orderly one two address spaces
/// share their upper half, as operating systems build them, so that precise drops are exercised too.
/// </summary>
public sealed unsafe class CoherencePropertyTests
{
    private const ulong PoolStart = 0x10_0000;
    private const int PoolPages = 40;

    // Entry 0x101 of a table mapped as a 2 MiB page from 0 is the second table itself.
    private static readonly int[] s_indices = [0, 1, 0x101, 511];

    public static TheoryData<int, bool> Runs()
    {
        var runs = new TheoryData<int, bool>();
        for (int seed = 1; seed <= 6; seed++)
        {
            runs.Add(seed, false);
            runs.Add(seed, true);
        }
        return runs;
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void Every_cached_translation_equals_a_fresh_walk_after_each_random_step(int seed, bool orderly)
    {
        using var run = new RandomRun(seed, orderly);
        run.Execute(steps: 8000);
        run.AssertSomethingWasCached();
    }

    private sealed class RandomRun : IDisposable
    {
        /// <summary>Tangled: all tables alike. Orderly: two PML4s, three PDPTs, six page directories, twelve page tables.</summary>
        private const int TangledTables = 12, OrderlyTables = 23;

        private readonly int _seed;
        private readonly bool _orderly;
        private readonly Random _random;
        private readonly MmuRig _rig = new(64 << 20);
        private readonly ReferenceWalker _reference;
        private readonly List<ulong> _universe = [];

        /// <summary>What an engine that caches fetch translations believes: linear page and rights to physical page and G.</summary>
        private readonly SortedDictionary<(ulong Page, bool User), (ulong Physical, bool Global)> _fetched = [];
        private readonly Queue<string> _history = new();
        private DirtyPages? _log;
        private int _cachedReads, _cachedWrites, _cachedFetches, _walkedStores, _reinstated;

        public RandomRun(int seed, bool orderly)
        {
            _seed = seed;
            _orderly = orderly;
            _random = new Random(seed);
            _reference = new ReferenceWalker(_rig.Memory);
            _rig.Observer.OnLinearPage = page => { _fetched.Remove((page, true)); _fetched.Remove((page, false)); };
            _rig.Observer.OnLinearRange = (start, length) =>
            {
                foreach (var key in _fetched.Keys.Where(f => f.Page - start < length).ToList()) _fetched.Remove(key);
            };
            _rig.Observer.OnLinear = DropFetched;
            int[] upper = orderly ? [0, 511] : s_indices;
            foreach (int i4 in upper)
            foreach (int i3 in upper)
            foreach (int i2 in upper)
            foreach (int i1 in s_indices)
            {
                ulong va = (ulong)i4 << 39 | (ulong)i3 << 30 | (ulong)i2 << 21 | (ulong)i1 << 12;
                _universe.Add((ulong)((long)(va << 16) >> 16));
            }
            for (int page = 0; page < Tables; page++) FillTable(page);
            _rig.State->Cr3 = PoolPage(0);
            _rig.Mmu.FlushNonGlobal();
        }

        private int Tables => _orderly ? OrderlyTables : TangledTables;

        public void Execute(int steps)
        {
            for (int step = 0; step < steps; step++)
            {
                string what = Step();
                _history.Enqueue($"{step}: {what}");
                if (_history.Count > 12) _history.Dequeue();
                Check();
            }
        }

        public void AssertSomethingWasCached()
        {
            string figures = $"seed {_seed} orderly {_orderly}: reads {_cachedReads} writes {_cachedWrites} fetches {_cachedFetches} stores to tables {_walkedStores} after switch {_reinstated}";
            Assert.True(_cachedReads > 5_000 && _cachedWrites > 1_000 && _cachedFetches > 1_000 && _walkedStores > 40 && _reinstated > 100, figures);
        }

        public void Dispose() => _rig.Dispose();

        private string Step()
        {
            ulong va = _universe[_random.Next(_universe.Count)] + (uint)_random.Next(512) * 8;
            bool user = _random.Next(3) == 0;
            switch (_random.Next(32) - 12)
            {
                case < 0:
                    return $"fill {va:x} user {user}: {_rig.Mmu.Fill(va, _random.Next(3) == 0, user, out _)}";
                case < 7:
                    return Fetch(va, user);
                case < 12:
                    return StoreEntryThrough(va & ~0xFFFUL, user);
                case < 15:
                    return StoreEntryByDevice();
                case 15:
                    return Rewrite();
                case 16:
                    return SwitchAddressSpace();
                case 17 when _random.Next(4) == 0:
                    return ChangeMode();
                case 18:
                    return MarkOrUnmark();
                default:
                    return ReadOrFlush(va, user);
            }
        }

        /// <summary>Mostly there and back at once, with one access in between, so that translations set aside are still good.</summary>
        private string SwitchAddressSpace()
        {
            for (int switches = _random.Next(1, 4); switches > 0; switches--)
            {
                _rig.State->Cr3 = PoolPage(_random.Next(2));
                _rig.Mmu.FlushNonGlobal();
                _reinstated += _universe.Count(va => _rig.HasReadEntry(va, user: false) || _rig.HasReadEntry(va, user: true));
                _rig.Mmu.Fill(_universe[_random.Next(_universe.Count)], _random.Next(2) == 0, _random.Next(2) == 0, out _);
            }
            return $"CR3 = {_rig.State->Cr3:x}";
        }

        private string Fetch(ulong va, bool user)
        {
            if (!_rig.Mmu.TryTranslateFetch(va, user, out ulong physical, out bool global)) return $"fetch {va:x} faults";
            _fetched[(va & ~0xFFFUL, user)] = (physical & ~0xFFFUL, global);
            return $"fetch {va:x} user {user} -> {physical:x}";
        }

        /// <summary>A store as emitted code makes it: by the write tag if it is there, else as the fill says.</summary>
        private string StoreEntryThrough(ulong page, bool user)
        {
            ulong va = page + (ulong)s_indices[_random.Next(s_indices.Length)] * 8;
            FillOutcome outcome = FillOutcome.Filled;
            ulong physical = 0;
            if (!_rig.HasWriteEntry(va, user)) outcome = _rig.Mmu.Fill(va, write: true, user, out physical);
            if (outcome is FillOutcome.Fault or FillOutcome.Mmio) return $"store {va:x} {outcome}";
            byte* host = outcome == FillOutcome.Tracked
                ? _rig.Mmu.HostPointer(physical)
                : (byte*)(_rig.Mmu.Tlb.Addends(user ? 1 : 0)[SoftTlb.SlotOf(va)] + (long)va);
            if (outcome == FillOutcome.Tracked)
            {
                _rig.Mmu.PrepareTrackedWrite(physical, 8);
                _walkedStores++;
            }
            ulong value = RandomEntry(host);
            *(ulong*)host = value;
            return $"store {va:x} user {user} {outcome} {physical:x} = {value:x}";
        }

        private string StoreEntryByDevice()
        {
            int page = _random.Next(Tables), index = s_indices[_random.Next(s_indices.Length)];
            ulong address = PoolPage(page) + (ulong)index * 8;
            ulong value = RandomEntry(page, index);
            _rig.WriteEntry(address, value);
            return $"device store {address:x} = {value:x}";
        }

        /// <summary>A page is cleared by many stores and, as a new table, filled in again: it is untracked on the way.</summary>
        private string Rewrite()
        {
            int page = _random.Next(Tables);
            for (ulong offset = 0; offset < 4096; offset += 8) _rig.WriteEntry(PoolPage(page) + offset, 0);
            FillTable(page);
            return $"rewrite {PoolPage(page):x}";
        }

        private string ChangeMode()
        {
            _rig.State->Cr0 = 0x8000_0033 | (_random.Next(2) == 0 ? 0x1_0000UL : 0);
            _rig.State->Cr4 = 0x20 | (_random.Next(4) != 0 ? 0x80UL : 0) | (_random.Next(2) == 0 ? 0x10_0000UL : 0);
            _rig.State->Efer = 0x501 | (_random.Next(4) != 0 ? 0x800UL : 0);
            _rig.Mmu.ControlRegistersChanged();
            return $"CR0 {_rig.State->Cr0:x} CR4 {_rig.State->Cr4:x} EFER {_rig.State->Efer:x}";
        }

        private string MarkOrUnmark()
        {
            ulong page = PoolPage(_random.Next(PoolPages));
            if (_random.Next(2) == 0) _rig.Mmu.MarkCodePage(page);
            else _rig.Mmu.UnmarkCodePage(page);
            return $"mark or unmark {page:x}";
        }

        private string ReadOrFlush(ulong va, bool user)
        {
            switch (_random.Next(6))
            {
                case 0:
                    _rig.Mmu.FlushAll();
                    return "flush";
                case 1:
                    _rig.Mmu.InvalidatePage(va);
                    return $"invlpg {va:x}";
                case 2:
                    _log ??= _rig.Memory.CreateDirtyLog();
                    _log.Drain([]);
                    return "drain";
                case 3:
                    _log?.Dispose();
                    _log = null;
                    return "close log";
                default:
                    _rig.Mmu.Write((va & ~0xFFFUL) + 0xFFC, 8, user, ulong.MaxValue << 32);
                    return $"crossing write {va:x}";
            }
        }

        private void DropFetched(bool keepGlobal)
        {
            foreach (var key in _fetched.Where(f => !keepGlobal || !f.Value.Global).Select(f => f.Key).ToList()) _fetched.Remove(key);
        }

        private void Check()
        {
            _reference.Cr3 = _rig.State->Cr3;
            _reference.WriteProtect = (_rig.State->Cr0 & 0x1_0000) != 0;
            _reference.Smep = (_rig.State->Cr4 & 0x10_0000) != 0;
            _reference.Nxe = (_rig.State->Efer & 0x800) != 0;
            foreach (ulong va in _universe)
            {
                for (int set = 0; set < 2; set++)
                {
                    bool user = set == SoftTlb.UserSet;
                    if (!_rig.HasReadEntry(va, user))
                    {
                        Require(!_rig.HasWriteEntry(va, user), va, user, "write tag without read tag");
                        continue;
                    }
                    CheckEntry(va, user, set);
                }
            }
            foreach (var ((page, user), (physical, _)) in _fetched)
            {
                WalkResult walk = _reference.Walk(page, AccessKind.Execute, user);
                Require(walk.Fault is null && walk.PhysicalAddress == physical && walk.AllAccessed, page, user, $"fetch kept {physical:x}, is {walk}");
                _cachedFetches++;
            }
        }

        private void CheckEntry(ulong va, bool user, int set)
        {
            byte* host = (byte*)(_rig.Mmu.Tlb.Addends(set)[SoftTlb.SlotOf(va)] + (long)va);
            WalkResult read = _reference.Walk(va, AccessKind.Read, user);
            Require(read.Fault is null && read.AllAccessed, va, user, $"read entry kept, is {read}");
            Require(_rig.Mmu.HostPointer(read.PhysicalAddress) == host, va, user, $"wrong page, is {read}");
            _cachedReads++;
            foreach (ulong entry in read.Entries)
            {
                Require((_rig.TrackOf(entry) & PageTrack.PageTable) != 0, va, user, $"table {entry:x} is not tracked");
            }
            if (!_rig.HasWriteEntry(va, user)) return;
            WalkResult write = _reference.Walk(va, AccessKind.Write, user);
            Require(write.Fault is null && write.IsDirty, va, user, $"write entry kept, is {write}");
            Require(_rig.TrackOf(write.PhysicalAddress) == PageTrack.None, va, user, "write tag of a tracked page");
            _cachedWrites++;
        }

        private void Require(bool condition, ulong va, bool user, string what)
        {
            if (condition) return;
            var text = new StringBuilder($"seed {_seed} orderly {_orderly}, {va:x} user {user}: {what}\n");
            foreach (string line in _history) text.AppendLine(line);
            Assert.Fail(text.ToString());
        }

        private static ulong PoolPage(int index) => PoolStart + ((ulong)index << 12);

        private void FillTable(int page)
        {
            foreach (int index in s_indices) _rig.WriteEntry(PoolPage(page) + (ulong)index * 8, RandomEntry(page, index));
        }

        private ulong RandomEntry(byte* host)
        {
            long offset = host - _rig.Mmu.HostPointer(PoolStart);
            return RandomEntry((int)(offset >> 12), (int)(offset & 0xFFF) / 8);
        }

        private ulong RandomEntry(int page, int index)
        {
            ulong entry = PoolPage(_orderly ? OrderlyTarget(page, index) : _random.Next(_random.Next(3) == 0 ? PoolPages : Tables));
            if (_random.Next(12) != 0) entry |= MmuRig.Present;
            if (_random.Next(6) != 0) entry |= MmuRig.Writable;
            if (_random.Next(5) != 0) entry |= MmuRig.User;
            if (_random.Next(3) != 0) entry |= MmuRig.Accessed;
            if (_random.Next(2) == 0) entry |= MmuRig.Dirty;
            if (_random.Next(3) == 0) entry |= MmuRig.Global;
            if (_random.Next(12) == 0) entry |= MmuRig.NoExecute;
            // A large page that covers the tables themselves, or (rarely) lies outside RAM.
            if (_random.Next(8) == 0)
            {
                ulong large = _random.Next(8) == 0 ? 0xC000_0000UL : 0;
                entry = large | (entry & (0xFFF | MmuRig.NoExecute)) | MmuRig.Large;
            }
            return entry;
        }

        /// <summary>The tree: each table has children at two indices only, the last PDPT hangs from both PML4s; page tables map anything.</summary>
        private int OrderlyTarget(int page, int index)
        {
            int child = index switch { 0 => 0, 511 => 1, _ => -1 };
            if (page >= 11 || child < 0) return _random.Next(PoolPages);
            return page switch
            {
                < 2 => child == 1 ? 4 : 2 + page,
                < 5 => 5 + (page - 2) * 2 + child,
                _ => 11 + (page - 5) * 2 + child,
            };
        }
    }
}
