using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>
/// service: what a server does. Each period it answers the requests that have come (<see cref="EchoFrame"/>, where there is a network), appends a
/// record to the journal, makes it durable, reads it back, and says so. A disk that fails is tried again, for ever. While it waits for what it
/// reads it looks at the buffer: data there before the completion is what a device without bounce buffer does.
/// </summary>
internal sealed partial class TinyKernel
{
    private const ulong Sentinel = 0x5a5a_a5a5_5a5a_a5a5;
    private const int LookEveryTicks = 200_000;

    private void AssembleService()
    {
        Label scan = asm.CreateLabel();
        Label resume = asm.CreateLabel();
        Label append = asm.CreateLabel();
        Label done = asm.CreateLabel();
        Label haveDisk = asm.CreateLabel();
        asm.Label(ref _service);
        asm.cmp(__qword_ptr[BlockWindow], 0);
        asm.jne(haveDisk);
        Print("no disk\n");
        asm.jmp(_reset);

        asm.Label(ref haveDisk);
        Parameter("records", TinyGuest.DefaultCount);
        asm.mov(__qword_ptr[ServiceRecords], rax);
        Parameter("period", TinyGuest.DefaultPeriod);
        asm.mov(__qword_ptr[ServicePeriod], rax);
        asm.mov(rax, FoldStart);
        asm.mov(__qword_ptr[EchoState], rax);

        // RBX: next record. R14: checksum of the one before.
        asm.xor(ebx, ebx);
        asm.mov(r14, FoldStart);
        asm.Label(ref scan);
        asm.cmp(rbx, __qword_ptr[ServiceRecords]);
        asm.jae(resume);
        AssembleUntilDone(BlockRead);
        asm.call(_verifyRecord);
        asm.test(eax, eax);
        asm.je(resume);
        asm.mov(r14, __qword_ptr[GuestLayout.BlockBuffer + SectorBytes - 8]);
        asm.inc(rbx);
        asm.jmp(scan);

        asm.Label(ref resume);
        Print("service starts at ");
        asm.mov(rdi, rbx);
        asm.call(_printHex);
        Print("\n");
        asm.Label(ref append);
        asm.cmp(rbx, __qword_ptr[ServiceRecords]);
        asm.jae(done);
        asm.mov(rdi, __qword_ptr[ServicePeriod]);
        asm.call(_sleep);
        AssembleServeRequests();
        AssembleAppend();
        AssembleReadBack();
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
    }

    /// <summary>Asks the disk for sector RBX until it does it.</summary>
    private void AssembleUntilDone(int type)
    {
        Label again = asm.CreateLabel();
        Label done = asm.CreateLabel();
        asm.Label(ref again);
        asm.mov(edi, type);
        asm.mov(rsi, rbx);
        asm.call(_blockRequest);
        asm.test(eax, eax);
        asm.je(done);
        asm.mov(rdi, __qword_ptr[ServicePeriod]);
        asm.call(_sleep);
        asm.jmp(again);
        asm.Label(ref done);
    }

    private void AssembleServeRequests()
    {
        Label next = asm.CreateLabel();
        Label none = asm.CreateLabel();
        asm.cmp(__qword_ptr[NetWindow], 0);
        asm.je(none);
        asm.push(rbx);
        asm.Label(ref next);
        asm.call(_netPoll);
        Label served = asm.CreateLabel();
        asm.test(rax, rax);
        asm.je(served);
        asm.call(_echoFrame);
        asm.jmp(next);
        asm.Label(ref served);
        asm.pop(rbx);
        asm.Label(ref none);
    }

    /// <summary>Writes record RBX after R14, and flushes; R14 becomes its checksum. A failed flush may have lost the write.</summary>
    private void AssembleAppend()
    {
        Label again = asm.CreateLabel();
        Label done = asm.CreateLabel();
        AssembleFillRecord();
        asm.Label(ref again);
        asm.nop(); // the assembler takes one label per instruction
        AssembleUntilDone(BlockWrite);
        asm.mov(edi, BlockFlush);
        asm.xor(esi, esi);
        asm.call(_blockRequest);
        asm.test(eax, eax);
        asm.je(done);
        asm.mov(rdi, __qword_ptr[ServicePeriod]);
        asm.call(_sleep);
        asm.jmp(again);
        asm.Label(ref done);
    }

    /// <summary>Reads record RBX, looking at the buffer meanwhile, and checks it.</summary>
    private void AssembleReadBack()
    {
        Label again = asm.CreateLabel();
        Label wait = asm.CreateLabel();
        Label used = asm.CreateLabel();
        Label early = asm.CreateLabel();
        Label good = asm.CreateLabel();
        Label damaged = asm.CreateLabel();
        asm.nop(); // see above
        asm.Label(ref again);
        asm.mov(rax, Sentinel);
        asm.mov(__qword_ptr[GuestLayout.BlockBuffer], rax);
        asm.mov(edi, BlockRead);
        asm.mov(rsi, rbx);
        asm.call(_blockSubmit);
        asm.Label(ref wait);
        asm.mov(edi, LookEveryTicks);
        asm.call(_sleep);
        // The buffer before the index: the request may end between any two instructions, and data that is seen before the end is early only if the
        // end is not seen behind it either.
        asm.mov(rcx, __qword_ptr[GuestLayout.BlockBuffer]);
        asm.movzx(eax, __word_ptr[GuestLayout.BlockQueue + UsedRing + 2]);
        asm.cmp(ax, __word_ptr[GuestLayout.BlockQueue + AvailableRing + 2]);
        asm.je(used);
        asm.mov(rax, Sentinel);
        asm.cmp(rax, rcx);
        asm.jne(early);
        asm.jmp(wait);
        asm.Label(ref used);
        asm.cmp(__byte_ptr[GuestLayout.BlockStatus], 0);
        Label read = asm.CreateLabel();
        asm.je(read);
        asm.mov(rdi, __qword_ptr[ServicePeriod]);
        asm.call(_sleep);
        asm.jmp(again);

        // The record before is behind R14 already: what was written is compared by its checksum.
        asm.Label(ref read);
        AssembleSectorChecksum();
        asm.cmp(r12, __qword_ptr[GuestLayout.BlockBuffer + SectorBytes - 8]);
        asm.jne(damaged);
        asm.cmp(r12, r14);
        asm.je(good);
        asm.Label(ref damaged);
        Print("journal damaged\n");
        asm.jmp(_reset);
        asm.Label(ref early);
        Print("data before its completion\n");
        asm.jmp(_reset);
        asm.Label(ref good);
    }
}
