using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>
/// demanding: everything depends on what came in. Each round takes time and entropy, draws from their hash up to eight disk requests, hands them over at once,
/// answers the network's requests while they are under way, and says what it has seen and the hash of all that it has ever seen. What follows from what it says is
/// in <see cref="DemandingReference"/>. Uses indirect descriptors and event indices. A request that fails is told of, and not tried again.
/// </summary>
internal sealed partial class TinyKernel
{
    private const int EntropyDevice = 4;
    private const int BlockWriteZeroes = 13;
    private const int DemandQueueSize = 64;
    private const uint DemandAvailable = GuestLayout.DemandQueue + AvailableRing;
    private const uint DemandUsed = GuestLayout.DemandQueue + UsedRing;
    private const uint DemandUsedEvent = DemandAvailable + 4 + (2 * DemandQueueSize);
    private const uint DemandAvailableEvent = DemandUsed + 4 + (8 * DemandQueueSize);

    /// <summary>VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX.</summary>
    private const int DemandFeatures = (1 << 9) | (1 << 14) | (1 << 28) | (1 << 29);

    private const int TimedWait = 2_000_000;

    private void AssembleDemanding()
    {
        Label haveDisk = asm.CreateLabel();
        Label round = asm.CreateLabel();
        Label done = asm.CreateLabel();
        asm.Label(ref _demanding);
        asm.cmp(__qword_ptr[BlockWindow], 0);
        asm.jne(haveDisk);
        Print("no disk\n");
        asm.jmp(_reset);

        asm.Label(ref haveDisk);
        AssembleDemandingDisk();
        AssembleFindEntropy();
        asm.mov(rax, FoldStart);
        asm.mov(__qword_ptr[EchoState], rax);
        Parameter("rounds", 0);
        asm.mov(__qword_ptr[DemandRounds], rax);
        Print(DemandingReference.FirstLine + "\n");

        // R12: hash of everything that came in. R13: state of the generator.
        asm.mov(r12, FoldStart);
        asm.mov(rax, __qword_ptr[Seed]);
        Fold();
        asm.Label(ref round);
        asm.call(_demandServe);
        AssembleInputs();
        AssembleBurst();
        AssembleWaitForBurst();
        AssembleSums();
        AssembleReport();
        AssembleReportFrame();
        asm.dec(__qword_ptr[DemandRounds]);
        asm.je(done);
        AssembleRest();
        asm.jmp(round);
        asm.Label(ref done);
        asm.ret();
        AssembleDemandServe();
        AssemblePutDescriptor();
    }

    /// <summary>Resets the disk, agrees on more with it, and gives it a longer queue.</summary>
    private void AssembleDemandingDisk()
    {
        Label large = asm.CreateLabel();
        asm.mov(rdi, __qword_ptr[BlockWindow]);
        asm.mov(__dword_ptr[rdi + 0x14], 0);
        asm.mov(eax, __dword_ptr[rdi + 0x10]);
        asm.and(eax, DemandFeatures);
        asm.cmp(eax, DemandFeatures);
        asm.jne(_deviceRefused);
        asm.mov(esi, DemandFeatures);
        asm.call(_startDevice);
        asm.mov(r8, rdi);
        asm.mov(edi, GuestLayout.DemandQueue);
        asm.xor(eax, eax);
        asm.mov(ecx, PageBytes / 8);
        asm.rep.stosq();
        asm.mov(__dword_ptr[r8 + 0x30], 0);
        asm.cmp(__dword_ptr[r8 + 0x34], DemandQueueSize);
        asm.jb(_deviceRefused);
        asm.mov(__dword_ptr[r8 + 0x38], DemandQueueSize);
        foreach ((int register, uint part) in new[] { (0x80, GuestLayout.DemandQueue), (0x90, DemandAvailable), (0xa0, DemandUsed) })
        {
            asm.mov(__dword_ptr[r8 + register], part);
            asm.mov(__dword_ptr[r8 + register + 4], 0);
        }

        asm.mov(__dword_ptr[r8 + 0x44], 1);
        asm.mov(__dword_ptr[r8 + VirtioStatus], 0x0f);
        asm.mov(eax, __dword_ptr[r8 + VirtioConfig]);
        asm.mov(__qword_ptr[DemandCapacity], rax);
        asm.cmp(eax, DemandingReference.SectorsMost);
        asm.jae(large);
        Print("disk too small\n");
        asm.jmp(_reset);
        asm.Label(ref large);
        asm.nop(); // the assembler takes one label per instruction
    }

    /// <summary>Starts the entropy device, if there is one.</summary>
    private void AssembleFindEntropy()
    {
        Label window = asm.CreateLabel();
        Label next = asm.CreateLabel();
        Label found = asm.CreateLabel();
        asm.mov(ebx, GuestLayout.VirtioBase);
        asm.mov(ebp, GuestLayout.VirtioWindows);
        asm.Label(ref window);
        asm.cmp(__dword_ptr[rbx], 0x7472_6976); // "virt"
        asm.jne(next);
        asm.cmp(__dword_ptr[rbx + 8], EntropyDevice);
        asm.jne(next);
        asm.mov(__qword_ptr[EntropyWindow], rbx);
        asm.mov(rdi, rbx);
        asm.xor(esi, esi);
        asm.call(_startDevice);
        SetUpQueue(0, GuestLayout.EntropyQueue);
        asm.mov(__dword_ptr[rbx + VirtioStatus], 0x0f);
        asm.jmp(found);
        asm.Label(ref next);
        asm.add(rbx, __qword_ptr[WindowStride]);
        asm.dec(ebp);
        asm.jne(window);
        asm.Label(ref found);
        asm.nop(); // see above
    }

    /// <summary>Folds in what time it is and eight bytes of entropy; both stay where they are for the report. R13 begins with the hash.</summary>
    private void AssembleInputs()
    {
        Label none = asm.CreateLabel();
        asm.rdtsc();
        asm.shl(rdx, 32);
        asm.or(rax, rdx);
        asm.mov(__qword_ptr[DemandTime], rax);
        Fold();
        asm.mov(__qword_ptr[GuestLayout.EntropyBuffer], 0);
        asm.cmp(__qword_ptr[EntropyWindow], 0);
        asm.je(none);
        StoreDescriptor(GuestLayout.EntropyQueue, 0, GuestLayout.EntropyBuffer, 8, DescriptorWrite);
        asm.xor(ecx, ecx);
        Offer(GuestLayout.EntropyQueue, 0, EntropyWindow);
        WaitUntilAllUsed(GuestLayout.EntropyQueue);
        asm.Label(ref none);
        asm.mov(rax, __qword_ptr[GuestLayout.EntropyBuffer]);
        Fold();
        asm.mov(r13, r12);
        asm.or(r13, 1);
    }

    /// <summary>
    /// Answers the network until the disk has done everything: halted until it says so, or looking now and then by the timer. How often it woke depends on when
    /// interrupts came.
    /// </summary>
    private void AssembleWaitForBurst()
    {
        Label look = asm.CreateLabel();
        Label timed = asm.CreateLabel();
        Label done = asm.CreateLabel();
        asm.mov(__qword_ptr[DemandWaits], 0);
        asm.Label(ref look);
        asm.inc(__qword_ptr[DemandWaits]);
        asm.call(_demandServe);
        asm.cli();
        asm.movzx(eax, __word_ptr[DemandUsed + 2]);
        asm.cmp(ax, __word_ptr[DemandAvailable + 2]);
        asm.je(done);
        asm.bt(r15, 53);
        asm.jc(timed);
        asm.sti();
        asm.hlt();
        asm.jmp(look);
        asm.Label(ref timed);
        asm.mov(edi, TimedWait);
        asm.call(_sleep);
        asm.jmp(look);
        asm.Label(ref done);
        asm.sti();
    }

    private void AssembleReport()
    {
        Label next = asm.CreateLabel();
        Label other = asm.CreateLabel();
        Print("d ");
        PrintVariable(DemandTime);
        Print(" ");
        PrintVariable(GuestLayout.EntropyBuffer);
        Print(" ");
        PrintVariable(DemandSeen);
        asm.mov(rax, __qword_ptr[DemandSeen]);
        Fold();
        asm.mov(rax, __qword_ptr[EchoState]);
        Fold();
        asm.mov(ebx, GuestLayout.DemandRequests);
        asm.mov(ebp, __dword_ptr[DemandCount]);
        asm.Label(ref next);
        asm.cmp(__qword_ptr[rbx + DemandKind], BlockRead);
        asm.jne(other);
        Print(" ");
        asm.mov(rdi, __qword_ptr[rbx + DemandSum]);
        asm.call(_printHex);
        asm.mov(rax, __qword_ptr[rbx + DemandSum]);
        Fold();
        asm.Label(ref other);
        asm.add(rbx, DemandBytes);
        asm.dec(ebp);
        asm.jne(next);
        Print(" ");
        asm.mov(rdi, r12);
        asm.call(_printHex);
        Print("\n");
    }

    private void PrintVariable(uint address)
    {
        asm.mov(rdi, __qword_ptr[address]);
        asm.call(_printHex);
    }

    /// <summary>Sends the hash to whoever listens.</summary>
    private void AssembleReportFrame()
    {
        Label none = asm.CreateLabel();
        asm.cmp(__qword_ptr[NetWindow], 0);
        asm.je(none);
        // Not where the last answer is, which goes again when its request does.
        const uint Frame = GuestLayout.ReportBuffer + NetHeaderBytes;
        asm.mov(edi, GuestLayout.ReportBuffer);
        asm.xor(eax, eax);
        asm.mov(ecx, NetHeaderBytes + EchoFrame.FrameBytesMin);
        asm.rep.stosb();
        asm.mov(__dword_ptr[Frame], -1);
        asm.mov(__word_ptr[Frame + 4], -1);
        asm.mov(eax, __dword_ptr[MacAddress]);
        asm.mov(__dword_ptr[Frame + 6], eax);
        asm.mov(ax, __word_ptr[MacAddress + 4]);
        asm.mov(__word_ptr[Frame + 10], ax);
        asm.mov(__word_ptr[Frame + 12], unchecked((short)EchoFrame.EtherTypeLittleEndian));
        asm.mov(__dword_ptr[Frame + EchoFrame.MarkOffset], (int)EchoFrame.ReportMark);
        asm.mov(__qword_ptr[Frame + EchoFrame.SequenceOffset], r12);
        StoreDescriptor(GuestLayout.TransmitQueue, 0, GuestLayout.ReportBuffer, NetHeaderBytes + EchoFrame.FrameBytesMin, 0);
        asm.xor(ecx, ecx);
        Offer(GuestLayout.TransmitQueue, 1, NetWindow);
        WaitUntilAllUsed(GuestLayout.TransmitQueue);
        asm.Label(ref none);
        asm.nop(); // see above
    }

    /// <summary>Goes on at once, soon, after a while, or after up to a quiet second.</summary>
    private void AssembleRest()
    {
        Label soon = asm.CreateLabel();
        Label later = asm.CreateLabel();
        Label sleep = asm.CreateLabel();
        Label done = asm.CreateLabel();
        asm.call(_random);
        asm.mov(rdi, rax);
        asm.shr(rdi, 32);
        asm.and(edi, 0x1fff_ffff);
        asm.shr(rax, 61);
        asm.je(done);
        asm.cmp(eax, 4);
        asm.jb(soon);
        asm.cmp(eax, 7);
        asm.jb(later);
        asm.add(edi, 300_000_000);
        asm.jmp(sleep);
        asm.Label(ref later);
        asm.and(edi, 0x3ff_ffff);
        asm.add(edi, 60_000_000);
        asm.jmp(sleep);
        asm.Label(ref soon);
        asm.and(edi, 0x3f_ffff);
        asm.add(edi, 1_000_000);
        asm.Label(ref sleep);
        asm.call(_sleep);
        asm.Label(ref done);
        asm.nop(); // see above
    }

    private void AssembleDemandServe()
    {
        AssemblerRegister64[] kept = [rbx, rbp, r12, r13, r14, r15];
        asm.Label(ref _demandServe);
        foreach (AssemblerRegister64 register in kept)
        {
            asm.push(register);
        }

        AssembleServeRequests();
        foreach (AssemblerRegister64 register in kept.Reverse())
        {
            asm.pop(register);
        }

        asm.ret();
    }
}
