using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>
/// compute: integer and SSE arithmetic, page tables, self-modifying code, string instructions and faults, folded into one
/// checksum per round, printed as <c>compute ROUND CHECKSUM</c>. <see cref="ComputeReference"/> computes the same.
/// </summary>
internal sealed partial class TinyKernel
{
    private void AssembleCompute()
    {
        Label round = asm.CreateLabel();
        Label done = asm.CreateLabel();
        asm.Label(ref _compute);
        Parameter("rounds", TinyGuest.DefaultRounds);
        asm.mov(rbp, rax);
        asm.mov(r13, __qword_ptr[Seed]);
        asm.mov(r12, FoldStart);
        asm.xor(ebx, ebx);
        asm.Label(ref round);
        asm.cmp(rbx, rbp);
        asm.jae(done);
        asm.inc(rbx);
        AssembleIntegers();
        AssembleVectors();
        AssemblePaging();
        AssembleSelfModification();
        AssembleStrings();
        AssembleFaults();
        Print("compute ");
        asm.mov(rdi, rbx);
        asm.call(_printHex);
        Print(" ");
        asm.mov(rdi, r12);
        asm.call(_printHex);
        Print("\n");
        asm.jmp(round);
        asm.Label(ref done);
        asm.ret();
    }

    private void AssembleIntegers()
    {
        Label next = asm.CreateLabel();
        asm.mov(r14d, ComputeReference.IntegerSteps);
        asm.Label(ref next);
        asm.call(_random);
        asm.mov(r8, rax);
        asm.mov(r9, rax);
        asm.rol(r9, 17);
        asm.mul(r9);
        asm.xor(rax, rdx);
        Fold();

        asm.mov(rax, r8);
        asm.mov(rcx, r8);
        asm.shr(rcx, 32);
        asm.or(rcx, 1);
        asm.xor(edx, edx);
        asm.div(rcx);
        asm.xor(rax, rdx);
        Fold();

        // The carry out of an addition, and a double shift by a count from data.
        asm.mov(rax, r8);
        asm.add(rax, r9);
        asm.mov(eax, 0);
        asm.adc(rax, r8);
        asm.mov(ecx, r9d);
        asm.and(ecx, 31);
        asm.shld(rax, r9, cl);
        Fold();
        asm.dec(r14d);
        asm.jne(next);
    }

    private void AssembleVectors()
    {
        Label next = asm.CreateLabel();
        asm.mov(r14d, ComputeReference.VectorSteps);
        asm.Label(ref next);
        asm.call(_random);
        asm.mov(r8, rax);
        asm.movq(xmm0, rax);
        asm.call(_random);
        asm.movq(xmm1, rax);
        asm.movdqa(xmm2, xmm0);
        asm.paddd(xmm2, xmm1);
        asm.pmuludq(xmm0, xmm1);
        asm.pxor(xmm2, xmm0);
        asm.movq(rax, xmm2);
        Fold();

        asm.shr(r8, 12);
        asm.cvtsi2sd(xmm3, r8);
        asm.sqrtsd(xmm4, xmm3);
        asm.mulsd(xmm4, xmm3);
        asm.divsd(xmm4, xmm3);
        asm.movq(rax, xmm4);
        Fold();
        asm.dec(r14d);
        asm.jne(next);
    }

    /// <summary>Maps pages in an order that differs from round to round, writes by the new address and reads by the physical one.</summary>
    private void AssemblePaging()
    {
        Label next = asm.CreateLabel();
        asm.xor(r14d, r14d);
        asm.Label(ref next);
        asm.imul(r9d, r14d, ComputeReference.PageStride);
        asm.add(r9d, ebx);
        asm.and(r9d, GuestLayout.WorkPageCount - 1);
        asm.shl(r9d, 12);
        asm.add(r9d, GuestLayout.WorkPages);
        asm.lea(eax, __[r9d + 3]);
        asm.mov(__qword_ptr[(r14 * 8) + GuestLayout.WorkPageTable], rax);
        asm.mov(r10, GuestLayout.WorkVirtualBase);
        asm.mov(eax, r14d);
        asm.shl(eax, 12);
        asm.add(r10, rax);
        asm.invlpg(__byte_ptr[r10]);
        asm.call(_random);
        asm.mov(ecx, eax);
        asm.and(ecx, 0xff8);
        asm.mov(__qword_ptr[r10 + rcx], rax);
        asm.mov(rax, __qword_ptr[r9 + rcx]);
        Fold();
        asm.mov(rax, __qword_ptr[(r14 * 8) + GuestLayout.WorkPageTable]);
        asm.and(eax, 0x60); // accessed and dirty
        Fold();
        asm.mov(__qword_ptr[(r14 * 8) + GuestLayout.WorkPageTable], 0);
        asm.invlpg(__byte_ptr[r10]);
        asm.inc(r14d);
        asm.cmp(r14d, GuestLayout.WorkPageCount);
        asm.jne(next);
    }

    /// <summary>Changes the constant of an instruction in the very page that runs, and runs it.</summary>
    private void AssembleSelfModification()
    {
        Label next = asm.CreateLabel();
        Label patched = asm.CreateLabel();
        asm.mov(r14d, ComputeReference.PatchSteps);
        asm.Label(ref next);
        asm.call(_random);
        asm.lea(rdi, __[patched]);
        asm.mov(__dword_ptr[rdi + 1], eax); // after the opcode of MOV EAX, imm32
        asm.jmp(patched);
        asm.Label(ref patched);
        asm.mov(eax, 0);
        Fold();
        asm.dec(r14d);
        asm.jne(next);
    }

    private void AssembleStrings()
    {
        asm.call(_random);
        asm.mov(r8, rax);
        asm.mov(edi, GuestLayout.CopySource);
        asm.mov(ecx, ComputeReference.CopyBytes / 8);
        asm.rep.stosq();
        asm.mov(esi, GuestLayout.CopySource + ComputeReference.CopySkew);
        asm.mov(edi, GuestLayout.CopyTarget);
        asm.mov(ecx, ComputeReference.ComparedBytes);
        asm.rep.movsb();
        asm.mov(rax, __qword_ptr[GuestLayout.CopyTarget + ComputeReference.ComparedBytes - 8]);
        Fold();

        // One byte is made to differ; CMPSB must stop right after it.
        asm.mov(r9d, r8d);
        asm.and(r9d, ComputeReference.SearchedBytes - 1);
        asm.xor(__byte_ptr[r9 + GuestLayout.CopyTarget], unchecked((sbyte)0xff));
        asm.mov(esi, GuestLayout.CopySource + ComputeReference.CopySkew);
        asm.mov(edi, GuestLayout.CopyTarget);
        asm.mov(ecx, ComputeReference.ComparedBytes);
        asm.repe.cmpsb();
        asm.mov(eax, ecx);
        Fold();

        asm.mov(edi, GuestLayout.CopyTarget);
        asm.xor(eax, eax);
        asm.mov(ecx, ComputeReference.SearchedBytes);
        asm.rep.stosb();
        asm.mov(__byte_ptr[r9 + GuestLayout.CopyTarget], 1);
        asm.mov(edi, GuestLayout.CopyTarget);
        asm.mov(eax, 1);
        asm.mov(ecx, ComputeReference.SearchedBytes);
        asm.repne.scasb();
        asm.mov(eax, ecx);
        Fold();
    }

    /// <summary>One fault of each kind that software can cause at will, then a page fault that is repaired and repeated.</summary>
    private void AssembleFaults()
    {
        ExpectFault(0, () =>
        {
            asm.xor(ecx, ecx);
            asm.xor(edx, edx);
            asm.div(rcx);
        });
        ExpectFault(3, () => asm.int3());
        ExpectFault(6, () => asm.ud2());
        ExpectFault(13, () =>
        {
            asm.mov(rax, 0x8000_0000_0000_0000); // not canonical
            asm.mov(rax, __qword_ptr[rax]);
        });
        ExpectFault(PageFault, () =>
        {
            asm.mov(rax, GuestLayout.WorkVirtualBase + 0x1238);
            asm.mov(rax, __qword_ptr[rax]);
        });
        FoldFaultAddress();
        ExpectFault(PageFault, () =>
        {
            asm.mov(rax, GuestLayout.WorkVirtualBase + 0x2000);
            asm.mov(__byte_ptr[rax], 1);
        });
        FoldFaultAddress();

        // An access across two pages that are both missing: two faults in one instruction.
        asm.call(_random);
        asm.mov(r8, rax);
        asm.mov(__qword_ptr[ExpectedVector], PageFault);
        asm.mov(__qword_ptr[ResumeAt], 0);
        asm.mov(r10, GuestLayout.WorkVirtualBase + 0x4ffd);
        asm.mov(__qword_ptr[r10], r8);
        asm.mov(rax, __qword_ptr[r10]);
        Fold();
        FoldFaultAddress();
        asm.mov(__qword_ptr[ExpectedVector], -1);
        asm.mov(__qword_ptr[GuestLayout.WorkPageTable + (4 * 8)], 0);
        asm.mov(__qword_ptr[GuestLayout.WorkPageTable + (5 * 8)], 0);
        asm.mov(rax, cr3);
        asm.mov(cr3, rax);
    }

    private void ExpectFault(int vector, Action cause)
    {
        Label resume = asm.CreateLabel();
        asm.mov(__qword_ptr[ExpectedVector], vector);
        asm.mov(__qword_ptr[FaultSeen], -1);
        asm.lea(rax, __[resume]);
        asm.mov(__qword_ptr[ResumeAt], rax);
        cause();
        asm.Label(ref resume);
        asm.mov(__qword_ptr[ExpectedVector], -1);
        asm.mov(rax, __qword_ptr[FaultSeen]);
        Fold();
    }

    private void FoldFaultAddress()
    {
        asm.mov(rax, __qword_ptr[FaultAddress]);
        Fold();
    }
}
