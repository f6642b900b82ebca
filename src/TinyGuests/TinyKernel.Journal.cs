using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>
/// journal: appends records of one sector to the disk and says <c>journal N CHECKSUM</c> when a record is durable. A guest that
/// starts on a disk with records goes on after the last good one. Format in <see cref="JournalRecord"/>.
/// </summary>
internal sealed partial class TinyKernel
{
    private void AssembleJournal()
    {
        Label ready = asm.CreateLabel();
        Label scan = asm.CreateLabel();
        Label resume = asm.CreateLabel();
        Label append = asm.CreateLabel();
        Label done = asm.CreateLabel();
        Label failed = asm.CreateLabel();
        asm.Label(ref _journal);
        asm.cmp(__qword_ptr[BlockWindow], 0);
        asm.jne(ready);
        Print("no disk\n");
        asm.jmp(_reset);

        // RBX: next record's number and sector. R14: checksum of the one before. RBP: records wanted. R15: pause between.
        asm.Label(ref ready);
        Parameter("records", TinyGuest.DefaultCount);
        asm.mov(rbp, rax);
        Parameter("pause", 0);
        asm.mov(r15, rax);
        asm.xor(ebx, ebx);
        asm.mov(r14, FoldStart);
        asm.Label(ref scan);
        asm.cmp(rbx, rbp);
        asm.jae(resume);
        asm.mov(edi, BlockRead);
        asm.mov(rsi, rbx);
        asm.call(_blockRequest);
        asm.test(eax, eax);
        asm.jne(failed);
        asm.call(_verifyRecord);
        asm.test(eax, eax);
        asm.je(resume);
        asm.mov(r14, __qword_ptr[GuestLayout.BlockBuffer + SectorBytes - 8]);
        asm.inc(rbx);
        asm.jmp(scan);

        asm.Label(ref resume);
        Print("journal starts at ");
        asm.mov(rdi, rbx);
        asm.call(_printHex);
        Print("\n");

        asm.Label(ref append);
        asm.cmp(rbx, rbp);
        asm.jae(done);
        asm.mov(rdi, r15);
        Label noPause = asm.CreateLabel();
        asm.test(rdi, rdi);
        asm.je(noPause);
        asm.call(_sleep);
        asm.Label(ref noPause);
        AssembleFillRecord();
        asm.mov(edi, BlockWrite);
        asm.mov(rsi, rbx);
        asm.call(_blockRequest);
        asm.test(eax, eax);
        asm.jne(failed);
        asm.mov(edi, BlockFlush);
        asm.xor(esi, esi);
        asm.call(_blockRequest);
        asm.test(eax, eax);
        asm.jne(failed);
        Print("journal ");
        asm.mov(rdi, rbx);
        asm.call(_printHex);
        Print(" ");
        asm.mov(rdi, r14);
        asm.call(_printHex);
        Print("\n");
        asm.inc(rbx);
        asm.jmp(append);

        asm.Label(ref done);
        asm.ret();

        asm.Label(ref failed);
        Print("disk error\n");
        asm.jmp(_reset);
        AssembleVerifyRecord();
    }

    /// <summary>Puts record RBX after R14 into the block buffer; R14 becomes its checksum.</summary>
    private void AssembleFillRecord()
    {
        Label word = asm.CreateLabel();
        asm.mov(rdi, GuestLayout.BlockBuffer);
        asm.mov(rax, JournalRecord.Magic);
        asm.stosq();
        asm.mov(rax, rbx);
        asm.stosq();
        asm.mov(rax, r14);
        asm.stosq();

        // Each record's content starts from the seed and its number, so a record can be checked by itself.
        asm.lea(r13, __[rbx + 1]);
        asm.mov(rax, RandomMultiplier);
        asm.imul(r13, rax);
        asm.xor(r13, __qword_ptr[Seed]);
        asm.mov(ecx, JournalRecord.ContentWords);
        asm.Label(ref word);
        asm.call(_random);
        asm.stosq();
        asm.dec(ecx);
        asm.jne(word);
        AssembleSectorChecksum();
        asm.mov(__qword_ptr[GuestLayout.BlockBuffer + SectorBytes - 8], r12);
        asm.mov(r14, r12);
    }

    /// <summary>R12 becomes the checksum of the block buffer without its last word.</summary>
    private void AssembleSectorChecksum()
    {
        Label word = asm.CreateLabel();
        asm.mov(esi, GuestLayout.BlockBuffer);
        asm.mov(ecx, (SectorBytes / 8) - 1);
        asm.mov(r12, FoldStart);
        asm.Label(ref word);
        asm.lodsq();
        Fold();
        asm.dec(ecx);
        asm.jne(word);
    }

    /// <summary>RAX becomes 1 when the block buffer holds record RBX, following R14, undamaged; else 0.</summary>
    private void AssembleVerifyRecord()
    {
        Label bad = asm.CreateLabel();
        asm.Label(ref _verifyRecord);
        asm.mov(rax, JournalRecord.Magic);
        asm.cmp(rax, __qword_ptr[GuestLayout.BlockBuffer]);
        asm.jne(bad);
        asm.cmp(rbx, __qword_ptr[GuestLayout.BlockBuffer + 8]);
        asm.jne(bad);
        asm.cmp(r14, __qword_ptr[GuestLayout.BlockBuffer + 16]);
        asm.jne(bad);
        AssembleSectorChecksum();
        asm.cmp(r12, __qword_ptr[GuestLayout.BlockBuffer + SectorBytes - 8]);
        asm.jne(bad);
        asm.mov(eax, 1);
        asm.ret();
        asm.Label(ref bad);
        asm.xor(eax, eax);
        asm.ret();
    }
}
