using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>The requests of a round of the demanding workload: drawn, described in the queue, handed over together, and summed up when all have ended.</summary>
internal sealed partial class TinyKernel
{
    // What is known of a request, at RBX.
    private const int DemandKind = 0;
    private const int DemandSector = 8;
    private const int DemandSectors = 16;
    private const int DemandKey = 24;
    private const int DemandBuffer = 32;
    private const int DemandSum = 40;
    private const int DemandBytes = 64;

    /// <summary>Header, four pieces of data, status.</summary>
    private const int DemandDescriptors = 6;

    private const int DemandTableShift = 11;
    private const int DescriptorIndirect = 4;

    /// <summary>Draws as many requests as <c>DemandCount</c> says; the first and the second have room for 256 KiB, the others for 16.</summary>
    private void AssembleBurst()
    {
        Label request = asm.CreateLabel();
        Label silent = asm.CreateLabel();
        asm.call(_random);
        asm.shr(rax, 61);
        asm.inc(eax);
        asm.mov(__qword_ptr[DemandCount], rax);
        asm.call(_random);
        asm.shr(rax, 32);
        asm.xor(edx, edx);
        asm.div(__dword_ptr[DemandCapacity]);
        asm.mov(__qword_ptr[DemandHot], rdx);
        asm.xor(r14d, r14d);
        asm.mov(ebx, GuestLayout.DemandRequests);
        asm.Label(ref request);
        AssembleDraw();
        AssemblePlace();
        AssembleHeaderAndContent();
        AssembleDescribe();
        asm.add(rbx, DemandBytes);
        asm.inc(r14d);
        asm.cmp(r14d, __dword_ptr[DemandCount]);
        asm.jb(request);

        // One interrupt behind the last of them; the device is told if it has asked for it (virtio 1.2, 2.7.7 and 2.7.10).
        asm.movzx(eax, __word_ptr[DemandAvailable + 2]);
        asm.add(eax, __dword_ptr[DemandCount]);
        asm.lea(ecx, __[rax - 1]);
        asm.mov(__word_ptr[DemandUsedEvent], cx);
        asm.mov(__word_ptr[DemandAvailable + 2], ax);
        asm.mfence();
        asm.movzx(ecx, __word_ptr[DemandAvailableEvent]);
        asm.sub(eax, ecx);
        asm.dec(eax);
        asm.movzx(eax, ax);
        asm.cmp(eax, __dword_ptr[DemandCount]);
        asm.jae(silent);
        asm.mov(rdx, __qword_ptr[BlockWindow]);
        asm.mov(__dword_ptr[rdx + VirtioQueueNotify], 0);
        asm.Label(ref silent);
        asm.nop(); // the assembler takes one label per instruction
    }

    /// <summary>Request R14: kind and length, from R15; RBP is for its place, its key for its content. ECX becomes its length in sectors.</summary>
    private void AssembleDraw()
    {
        Label other = asm.CreateLabel();
        Label kind = asm.CreateLabel();
        Label some = asm.CreateLabel();
        Label length = asm.CreateLabel();
        asm.call(_random);
        asm.mov(r15, rax);
        asm.call(_random);
        asm.mov(rbp, rax);
        asm.call(_random);
        asm.mov(__qword_ptr[rbx + DemandKey], rax);
        asm.mov(rcx, r15);
        asm.shr(rcx, 61);
        asm.mov(eax, BlockRead);
        asm.cmp(r14d, 1); // its pages are written by the device alone
        asm.je(kind);
        asm.cmp(ecx, 4);
        asm.jae(other);
        asm.mov(eax, BlockWrite);
        asm.jmp(kind);
        asm.Label(ref other);
        asm.cmp(ecx, 7);
        asm.jb(kind);
        asm.mov(eax, BlockFlush);
        asm.bt(r15, 54);
        asm.jae(kind);
        asm.mov(eax, BlockWriteZeroes);
        asm.Label(ref kind);
        asm.mov(__qword_ptr[rbx + DemandKind], rax);

        asm.xor(ecx, ecx);
        asm.cmp(eax, BlockFlush);
        asm.je(length);
        asm.mov(rdx, r15);
        asm.shr(rdx, 58);
        asm.and(edx, 7);
        asm.mov(r8, r15);
        asm.shr(r8, 40);
        asm.mov(ecx, 1);
        asm.cmp(edx, 4);
        asm.jb(length);
        asm.mov(r9d, 7);
        asm.cmp(edx, 6);
        asm.jb(some);
        asm.mov(r9d, 31);
        asm.je(some);
        asm.cmp(r14d, 2);
        asm.jae(some);
        asm.mov(r9d, DemandingReference.SectorsMost - 1);
        asm.Label(ref some);
        asm.and(r8d, r9d);
        asm.lea(ecx, __[r8 + 1]);
        asm.Label(ref length);
        asm.mov(__qword_ptr[rbx + DemandSectors], rcx);
    }

    /// <summary>Anywhere, or near the round's hot spot. ECX is the length in sectors, and stays.</summary>
    private void AssemblePlace()
    {
        Label hot = asm.CreateLabel();
        Label bound = asm.CreateLabel();
        asm.mov(rax, rbp);
        asm.shr(rax, 32);
        asm.bt(r15, 57);
        asm.jc(hot);
        asm.xor(edx, edx);
        asm.div(__dword_ptr[DemandCapacity]);
        asm.jmp(bound);
        asm.Label(ref hot);
        asm.and(eax, 63);
        asm.mov(edx, eax);
        asm.add(edx, __dword_ptr[DemandHot]);
        asm.Label(ref bound);
        asm.mov(eax, __dword_ptr[DemandCapacity]);
        asm.sub(eax, ecx);
        asm.cmp(edx, eax);
        asm.cmova(edx, eax);
        asm.mov(__qword_ptr[rbx + DemandSector], rdx);
    }

    /// <summary>Header and status; the first and the last word of each sector that is written. R8 becomes the header's address.</summary>
    private void AssembleHeaderAndContent()
    {
        Label buffer = asm.CreateLabel();
        Label fill = asm.CreateLabel();
        Label filled = asm.CreateLabel();
        asm.mov(edi, GuestLayout.DemandWideBuffers);
        asm.test(r14d, r14d);
        asm.je(buffer);
        asm.mov(edi, GuestLayout.DemandWideBuffers + (DemandingReference.SectorsMost * SectorBytes));
        asm.cmp(r14d, 1);
        asm.je(buffer);
        asm.lea(edi, __[r14 - 2]);
        asm.shl(edi, 14);
        asm.add(edi, GuestLayout.DemandSmallBuffers);
        asm.Label(ref buffer);
        asm.mov(__qword_ptr[rbx + DemandBuffer], rdi);
        asm.cmp(__qword_ptr[rbx + DemandKind], BlockWrite);
        asm.jne(filled);
        asm.mov(rax, __qword_ptr[rbx + DemandSector]);
        asm.add(rax, __qword_ptr[rbx + DemandKey]);
        asm.mov(r8, RandomMultiplier);
        asm.Label(ref fill);
        asm.mov(rdx, rax);
        asm.imul(rdx, r8);
        asm.mov(__qword_ptr[rdi], rdx);
        asm.not(rdx);
        asm.mov(__qword_ptr[rdi + SectorBytes - 8], rdx);
        asm.add(rdi, SectorBytes);
        asm.inc(rax);
        asm.dec(ecx);
        asm.jne(fill);

        asm.Label(ref filled);
        asm.mov(r8d, r14d);
        asm.shl(r8d, 6);
        asm.add(r8d, GuestLayout.DemandHeaders);
        asm.mov(rax, __qword_ptr[rbx + DemandKind]);
        asm.mov(__qword_ptr[r8], rax);
        asm.mov(rax, __qword_ptr[rbx + DemandSector]);
        asm.mov(__qword_ptr[r8 + 8], rax);
        asm.mov(__qword_ptr[r8 + 16], rax); // the range of a write-zeroes: sector, sectors, no flags (virtio 1.2, 5.2.6)
        asm.mov(rcx, __qword_ptr[rbx + DemandSectors]);
        asm.mov(__qword_ptr[r8 + 24], rcx);
        asm.mov(__byte_ptr[r14 + GuestLayout.DemandStatuses], unchecked((sbyte)0xff));
    }

    /// <summary>The request's descriptors, in the queue or in a table of its own, in pieces of 4 or 64 KiB; and its place among the available.</summary>
    private void AssembleDescribe()
    {
        Label pieces = asm.CreateLabel();
        Label table = asm.CreateLabel();
        Label header = asm.CreateLabel();
        Label put = asm.CreateLabel();
        Label data = asm.CreateLabel();
        Label status = asm.CreateLabel();
        Label offered = asm.CreateLabel();
        asm.mov(r9d, GuestLayout.DemandQueue);
        asm.imul(r10d, r14d, DemandDescriptors);
        asm.mov(r11d, 64 << 10);
        asm.bt(r15, 55);
        asm.jae(pieces);
        asm.mov(r11d, PageBytes);
        asm.Label(ref pieces);
        asm.bt(r15, 56);
        asm.jc(table);
        asm.cmp(__qword_ptr[rbx + DemandSectors], 32);
        asm.jbe(header);
        asm.Label(ref table);
        asm.mov(r9d, r14d);
        asm.shl(r9d, DemandTableShift);
        asm.add(r9d, GuestLayout.DemandTables);
        asm.xor(r10d, r10d);

        asm.Label(ref header);
        asm.mov(rax, r8);
        asm.mov(ecx, 16);
        asm.cmp(__qword_ptr[rbx + DemandKind], BlockWriteZeroes);
        asm.jne(put);
        asm.mov(ecx, 32);
        asm.Label(ref put);
        asm.mov(edx, DescriptorNext);
        asm.call(_putDescriptor);
        asm.cmp(__qword_ptr[rbx + DemandKind], BlockWrite);
        asm.ja(status);
        Label towards = asm.CreateLabel();
        asm.je(towards);
        asm.mov(edx, DescriptorNext | DescriptorWrite);
        asm.Label(ref towards);
        asm.mov(rdi, __qword_ptr[rbx + DemandBuffer]);
        asm.mov(rsi, __qword_ptr[rbx + DemandSectors]);
        asm.shl(rsi, 9);
        asm.Label(ref data);
        asm.mov(ecx, r11d);
        asm.cmp(rcx, rsi);
        asm.cmova(rcx, rsi);
        asm.mov(rax, rdi);
        asm.call(_putDescriptor);
        asm.add(rdi, rcx);
        asm.sub(rsi, rcx);
        asm.jne(data);
        asm.Label(ref status);
        asm.lea(rax, __[r14 + GuestLayout.DemandStatuses]);
        asm.mov(ecx, 1);
        asm.mov(edx, DescriptorWrite);
        asm.call(_putDescriptor);

        asm.imul(ecx, r14d, DemandDescriptors);
        asm.cmp(r9d, GuestLayout.DemandQueue);
        asm.je(offered);
        asm.imul(r8d, r14d, DemandDescriptors * 16);
        asm.add(r8d, GuestLayout.DemandQueue);
        asm.mov(__qword_ptr[r8], r9);
        asm.shl(r10d, 4);
        asm.mov(__dword_ptr[r8 + 8], r10d);
        asm.mov(__dword_ptr[r8 + 12], DescriptorIndirect);
        asm.Label(ref offered);
        asm.movzx(eax, __word_ptr[DemandAvailable + 2]);
        asm.add(eax, r14d);
        asm.and(eax, DemandQueueSize - 1);
        asm.mov(__word_ptr[(rax * 2) + DemandAvailable + 4], cx);
    }

    /// <summary>Descriptor R10 of the table at R9: address RAX, length ECX, flags EDX, its successor the next one, which R10 becomes; changes R8.</summary>
    private void AssemblePutDescriptor()
    {
        asm.Label(ref _putDescriptor);
        asm.mov(r8, r10);
        asm.shl(r8, 4);
        asm.add(r8, r9);
        asm.mov(__qword_ptr[r8], rax);
        asm.mov(__dword_ptr[r8 + 8], ecx);
        asm.mov(__word_ptr[r8 + 12], dx);
        asm.inc(r10d);
        asm.mov(__word_ptr[r8 + 14], r10w);
        asm.ret();
    }

    /// <summary>Sums up what was read, and what else this round has seen: how many requests of the network are answered, what failed, how often it woke.</summary>
    private void AssembleSums()
    {
        Label next = asm.CreateLabel();
        Label good = asm.CreateLabel();
        Label word = asm.CreateLabel();
        Label done = asm.CreateLabel();
        asm.xor(r14d, r14d);
        asm.xor(ebp, ebp);
        asm.mov(ebx, GuestLayout.DemandRequests);
        asm.Label(ref next);
        asm.mov(__qword_ptr[rbx + DemandSum], 0);
        asm.cmp(__byte_ptr[r14 + GuestLayout.DemandStatuses], 0);
        asm.je(good);
        asm.bts(rbp, r14);
        asm.jmp(done);
        asm.Label(ref good);
        asm.cmp(__qword_ptr[rbx + DemandKind], BlockRead);
        asm.jne(done);
        asm.mov(rsi, __qword_ptr[rbx + DemandBuffer]);
        asm.mov(rcx, __qword_ptr[rbx + DemandSectors]);
        asm.xor(eax, eax);
        asm.Label(ref word);
        asm.add(rax, __qword_ptr[rsi]);
        asm.rol(rax, 7);
        asm.xor(rax, __qword_ptr[rsi + SectorBytes - 8]);
        asm.add(rsi, SectorBytes);
        asm.dec(ecx);
        asm.jne(word);
        asm.mov(__qword_ptr[rbx + DemandSum], rax);
        asm.Label(ref done);
        asm.add(rbx, DemandBytes);
        asm.inc(r14d);
        asm.cmp(r14d, __dword_ptr[DemandCount]);
        asm.jb(next);
        asm.movzx(eax, __word_ptr[DemandWaits]);
        asm.shl(rax, 40);
        asm.shl(rbp, 32);
        asm.or(rax, rbp);
        asm.mov(ecx, __dword_ptr[EchoServed]);
        asm.or(rax, rcx);
        asm.mov(__qword_ptr[DemandSeen], rax);
    }
}
