using FtAkka.Cpu.Memory;
using FtAkka.Cpu.Translation;
using Iced.Intel;

namespace FtAkka.Cpu.Engine;

/// <summary>Block cache: look-up, translation, linking, invalidation, eviction.</summary>
internal sealed unsafe partial class ExecutionEngine
{
    private readonly BlockTable _blocks = new();
    private readonly Block?[] _pageBlocks;

    /// <summary>By RAM page: which of its 64-byte lines hold translated code (bit set: perhaps). A store elsewhere in the page has nothing to look for.</summary>
    private readonly ulong[] _pageLines;
    private readonly byte[] _crossingBytes = new byte[32];
    private nint _next;
    private bool _codeChanged = true;
    private int _generation;

    /// <summary>Finds or translates the block at a linear address, with all effects of an instruction fetch there. Null: <see cref="Mmu.Fault"/>.</summary>
    private Block? FindOrTranslate(ulong rip, BlockMode mode, out bool global)
    {
        bool user = (mode & BlockMode.User) != 0;
        if (!_mmu.TryTranslateFetch(rip, user, out ulong physical, out global))
        {
            return null;
        }
        if (_blocks.Find(rip, physical, mode) is { } block)
        {
            if (!block.Crossing)
            {
                return block;
            }
            if (!_mmu.TryTranslateFetch(SecondPage(rip), user, out ulong second, out bool secondGlobal))
            {
                return null;
            }
            global &= secondGlobal;
            if (second == block.SecondPhysicalAddress)
            {
                return block;
            }
            Kill(block);
        }
        return Translate(rip, physical, mode, ref global);
    }

    /// <summary>
    /// Set when an instruction in the middle of a block ran on its own. A run of such instructions would else translate a long block from each of
    /// them and execute only its first.
    /// </summary>
    private bool _shortBlock;

    private const int ShortBlockInstructions = 4;

    private static ulong SecondPage(ulong rip) => (rip & ~0xFFFUL) + 4096;

    private Block? Translate(ulong linear, ulong physical, BlockMode mode, ref bool global)
    {
        bool user = (mode & BlockMode.User) != 0;
        if (_next + BlockTranslator.BlockCodeBytesMax > _code.Base + _code.SizeBytes)
        {
            Flush();
        }
        byte* bytes = _mmu.HostPointer(physical);
        int available = 4096 - (int)(physical & 0xFFF);
        ulong secondPhysical = ulong.MaxValue;
        Block block = NewBlock(linear, physical, mode, secondPhysical);
        int limit = Math.Clamp(_shortBlock ? Math.Min(ShortBlockInstructions, MaxBlockInstructions) : MaxBlockInstructions, 1, BlockTranslator.MaxInstructions);
        _shortBlock = false;
        fixed (byte* gathered = _crossingBytes)
        {
            if (bytes == null)
            {
                // No device answers instruction fetches: all ones, which is no instruction.
                new Span<byte>(gathered, 15).Fill(0xFF);
                bytes = gathered;
                available = 15;
            }
            if (!_translator.Translate(block, bytes, available, limit, _next))
            {
                if (!_mmu.TryTranslateFetch(SecondPage(linear), user, out secondPhysical, out bool secondGlobal))
                {
                    return null;
                }
                global &= secondGlobal;
                Gather(gathered, bytes, available, secondPhysical);
                block = NewBlock(linear, physical, mode, secondPhysical);
                bool complete = _translator.Translate(block, gathered, available + 15, 1, _next);
                System.Diagnostics.Debug.Assert(complete);
            }
        }
        ReadOnlySpan<byte> code = _translator.EmittedBytes;
        code.CopyTo(new Span<byte>(_code.Writable(_next), code.Length));
        _next = (_next + code.Length + 15) & ~15;
        _codeChanged = true;
        _tables.AddBlock(block);
        _statistics.BlocksTranslated++;
        _statistics.InstructionsTranslated += (ulong)block.InstructionCount + (block.EndsSpecial ? 1UL : 0);
        Enlist(block);
        return block;
    }

    private void Gather(byte* gathered, byte* first, int available, ulong secondPhysical)
    {
        new ReadOnlySpan<byte>(first, available).CopyTo(_crossingBytes);
        byte* second = _mmu.HostPointer(secondPhysical);
        if (second == null)
        {
            new Span<byte>(gathered + available, 15).Fill(0xFF);
        }
        else
        {
            new ReadOnlySpan<byte>(second, 15).CopyTo(new Span<byte>(gathered + available, 15));
        }
    }

    private Block NewBlock(ulong linear, ulong physical, BlockMode mode, ulong secondPhysical) => new()
    {
        LinearAddress = linear,
        PhysicalAddress = physical,
        SecondPhysicalAddress = secondPhysical,
        Mode = mode,
        Id = _tables.NextBlockId,
    };

    private void Enlist(Block block)
    {
        _blocks.Add(block);
        int page = _memory.PageIndexOf(block.PhysicalAddress);
        if (page >= 0)
        {
            block.NextOnPage = _pageBlocks[page];
            _pageBlocks[page] = block;
            _pageLines[page] |= LinesOf(block, first: true);
            _mmu.MarkCodePage(block.PhysicalAddress);
        }
        int second = block.Crossing ? _memory.PageIndexOf(block.SecondPhysicalAddress) : -1;
        if (second >= 0 && second != page)
        {
            block.NextOnSecondPage = _pageBlocks[second];
            _pageBlocks[second] = block;
            _pageLines[second] |= LinesOf(block, first: false);
            _mmu.MarkCodePage(block.SecondPhysicalAddress);
        }
    }

    /// <summary>The block's bytes or mapping are gone: nothing may enter it any more.</summary>
    private void Kill(Block block)
    {
        if (block.Dead)
        {
            return;
        }
        block.Dead = true;
        _statistics.BlocksInvalidated++;
        _blocks.Remove(block);
        _jumps.Remove(SetOf(block.Mode), block.LinearAddress, block.Entry);
        Disconnect(block, onlyFar: false);
    }

    /// <inheritdoc/>
    public void InvalidateCode(ulong physicalAddress, int lengthBytes)
    {
        ulong page = physicalAddress & ~0xFFFUL;
        int index = _memory.PageIndexOf(page);
        if (index < 0)
        {
            return;
        }
        if ((_pageLines[index] & Lines((int)(physicalAddress & 0xFFF), lengthBytes)) == 0)
        {
            return;
        }
        Block? block = _pageBlocks[index];
        Block? kept = null;
        ulong lines = 0;
        while (block != null)
        {
            bool first = (block.PhysicalAddress & ~0xFFFUL) == page;
            Block? next = first ? block.NextOnPage : block.NextOnSecondPage;
            if (!block.Dead && Overlaps(block, first, physicalAddress, lengthBytes))
            {
                Kill(block);
            }
            if (!block.Dead)
            {
                if (first)
                {
                    block.NextOnPage = kept;
                }
                else
                {
                    block.NextOnSecondPage = kept;
                }
                kept = block;
                lines |= LinesOf(block, first);
            }
            block = next;
        }
        _pageBlocks[index] = kept;
        _pageLines[index] = lines;
        if (kept == null)
        {
            _mmu.UnmarkCodePage(page);
        }
    }

    private static bool Overlaps(Block block, bool first, ulong address, int length)
    {
        (ulong start, ulong end) = ExtentOf(block, first);
        return address < end && address + (ulong)length > start;
    }

    /// <summary>Physical range of the block's bytes in its first or its second page.</summary>
    private static (ulong Start, ulong End) ExtentOf(Block block, bool first)
    {
        ulong start = block.PhysicalAddress;
        ulong end = start + (ulong)block.LengthBytes;
        if (!block.Crossing)
        {
            return (start, end);
        }
        ulong onFirst = 4096 - (start & 0xFFF);
        return first
            ? (start, start + onFirst)
            : (block.SecondPhysicalAddress, block.SecondPhysicalAddress + (ulong)block.LengthBytes - onFirst);
    }

    private static ulong LinesOf(Block block, bool first)
    {
        (ulong start, ulong end) = ExtentOf(block, first);
        return Lines((int)(start & 0xFFF), (int)(end - start));
    }

    /// <summary>Bits of the 64-byte lines that <paramref name="length"/> bytes from <paramref name="offset"/> of a page touch.</summary>
    private static ulong Lines(int offset, int length)
    {
        int last = Math.Min(offset + Math.Max(length, 1) - 1, 4095) >> 6;
        return (ulong.MaxValue << (offset >> 6)) & (ulong.MaxValue >> (63 - last));
    }

    /// <inheritdoc/>
    public void InvalidateLinearPage(ulong linearPage)
    {
        linearPage &= ~0xFFFUL;
        _jumps.Drop(linearPage);
        DisconnectPage(linearPage);
        // A store over two entries drops two pages.
        _droppedPage = _mappingDropped && _droppedPage != linearPage ? ulong.MaxValue : linearPage;
        _mappingDropped = true;
    }

    /// <inheritdoc/>
    public void InvalidateLinearRange(ulong start, ulong lengthBytes)
    {
        _jumps.DropRange(start, lengthBytes);
        DisconnectRange(start, lengthBytes);
        _droppedPage = ulong.MaxValue;
        _mappingDropped = true;
    }

    /// <inheritdoc/>
    public void InvalidateLinear(bool keepGlobal)
    {
        _jumps.Clear(keepGlobal);
        if (!keepGlobal)
        {
            DisconnectRange(0, ulong.MaxValue);
        }
        _droppedPage = ulong.MaxValue;
        _mappingDropped = true;
    }

    /// <summary>The page whose mapping went while <see cref="_mappingDropped"/> was set; all ones: several.</summary>
    private ulong _droppedPage;

    /// <summary>Drops all translated code: the cache is full, or a test asks for it.</summary>
    public void Flush()
    {
        _generation++;
        _statistics.CodeCacheFlushes++;
        _blocks.Clear(Leave);
        _jumps.ClearSet(0);
        _jumps.ClearSet(1);
        _tables.Clear();
        ForgetFarLinks();
        _next = _stubs.End;
    }

    private void Leave(Block block)
    {
        block.Dead = true;
        Unmark(block.PhysicalAddress);
        if (block.Crossing)
        {
            Unmark(block.SecondPhysicalAddress);
        }
    }

    /// <summary>State and RAM were replaced: drops translated code, translations and tracking.</summary>
    public void ForgetEverything()
    {
        Flush();
        _mmu.FlushAll();
    }

    private void Unmark(ulong physicalAddress)
    {
        int page = _memory.PageIndexOf(physicalAddress);
        if (page >= 0 && _pageBlocks[page] != null)
        {
            _pageBlocks[page] = null;
            _pageLines[page] = 0;
            _mmu.UnmarkCodePage(physicalAddress & ~0xFFFUL);
        }
    }

    /// <summary>Decodes the instruction at a byte offset of a live block again.</summary>
    private Instruction DecodeAt(Block block, int offset)
    {
        fixed (byte* gathered = _crossingBytes)
        {
            ulong physical = block.PhysicalAddress + (ulong)offset;
            byte* bytes = _mmu.HostPointer(physical);
            int available = 4096 - (int)(physical & 0xFFF);
            if (block.Crossing)
            {
                Gather(gathered, bytes, available, block.SecondPhysicalAddress);
                bytes = gathered;
                available += 15;
            }
            return _translator.DecodeOne(block.LinearAddress + (ulong)offset, bytes, available);
        }
    }

    /// <summary>
    /// Whether the bytes at <paramref name="rip"/>, which do not decode, are an instruction of more than 15 bytes: #GP(0) instead of #UD (Intel SDM vol. 3A,
    /// 6.15, interrupt 13). Only redundant prefixes can make one, so it decodes without the repeated ones.
    /// </summary>
    private bool IsTooLong(ulong rip)
    {
        const int lengthMax = 15;
        Span<byte> bytes = stackalloc byte[lengthMax];
        for (int i = 0; i < lengthMax; i++)
        {
            if (!_mmu.TryPeek(rip + (ulong)i, out ulong physical) || _mmu.HostPointer(physical) is var host && host == null)
            {
                return false;
            }
            bytes[i] = *host;
        }
        int prefixes = 0;
        while (prefixes < lengthMax && IsPrefix(bytes[prefixes]))
        {
            prefixes++;
        }
        // What lies behind the 15th byte does not matter: zeros make the instruction as long as it gets.
        byte* distinct = stackalloc byte[2 * lengthMax];
        new Span<byte>(distinct, 2 * lengthMax).Clear();
        int kept = 0;
        for (int i = 0; i < prefixes; i++)
        {
            bool last = i == prefixes - 1;
            bool rex = (bytes[i] & 0xF0) == 0x40;
            if (rex ? last : bytes[(i + 1)..prefixes].IndexOf(bytes[i]) < 0)
            {
                distinct[kept++] = bytes[i];
            }
        }
        bytes[prefixes..].CopyTo(new Span<byte>(distinct + kept, lengthMax));
        Instruction instruction = _translator.DecodeOne(rip, distinct, 2 * lengthMax);
        return prefixes == lengthMax || (!instruction.IsInvalid && instruction.Length - kept + prefixes > lengthMax);
    }

    private static bool IsPrefix(byte value) =>
        value is 0x66 or 0x67 or 0xF0 or 0xF2 or 0xF3 or 0x26 or 0x2E or 0x36 or 0x3E or 0x64 or 0x65 or (>= 0x40 and <= 0x4F);
}
