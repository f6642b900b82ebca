using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>Drivers of virtio-blk (virtio 1.2, 5.2) and virtio-net (5.1), one request and one sent frame at a time.</summary>
internal sealed partial class TinyKernel
{
    private const int BlockRead = 0;
    private const int BlockWrite = 1;
    private const int BlockFlush = 4;
    private const int SectorBytes = 512;
    private const int NetHeaderBytes = 12;
    private const int ReceiveBufferBytes = 2048;
    private const uint ReceiveBase = GuestLayout.ReceiveBuffers;

    /// <summary>
    /// Request of type EDI for sector RSI between the disk and the block buffer; RAX becomes its status, 0 for success. <c>_blockSubmit</c>
    /// does not wait for it.
    /// </summary>
    private void AssembleBlock()
    {
        Label flush = asm.CreateLabel();
        Label write = asm.CreateLabel();
        Label offer = asm.CreateLabel();
        asm.Label(ref _blockRequest);
        asm.call(_blockSubmit);
        WaitUntilAllUsed(GuestLayout.BlockQueue);
        asm.movzx(eax, __byte_ptr[GuestLayout.BlockStatus]);
        asm.ret();

        asm.Label(ref _blockSubmit);
        asm.mov(__dword_ptr[GuestLayout.BlockHeader], edi);
        asm.mov(__dword_ptr[GuestLayout.BlockHeader + 4], 0);
        asm.mov(__qword_ptr[GuestLayout.BlockHeader + 8], rsi);
        asm.mov(__byte_ptr[GuestLayout.BlockStatus], unchecked((sbyte)0xff));
        StoreDescriptor(GuestLayout.BlockQueue, 2, GuestLayout.BlockStatus, 1, DescriptorWrite);
        StoreDescriptor(GuestLayout.BlockQueue, 0, GuestLayout.BlockHeader, 16, DescriptorNext);
        asm.cmp(edi, BlockFlush);
        asm.je(flush);
        asm.cmp(edi, BlockWrite);
        asm.je(write);
        StoreDescriptor(GuestLayout.BlockQueue, 1, GuestLayout.BlockBuffer, SectorBytes, DescriptorNext | DescriptorWrite);
        asm.jmp(offer);
        asm.Label(ref write);
        StoreDescriptor(GuestLayout.BlockQueue, 1, GuestLayout.BlockBuffer, SectorBytes, DescriptorNext);
        asm.jmp(offer);
        asm.Label(ref flush); // a flush has no data: the header's successor is the status
        asm.mov(__word_ptr[GuestLayout.BlockQueue + 14], 2);

        asm.Label(ref offer);
        asm.xor(ecx, ecx);
        Offer(GuestLayout.BlockQueue, 0, BlockWindow);
        asm.ret();
    }

    private void AssembleNet()
    {
        AssembleNetStart();
        AssembleNetReceive();
        AssembleNetSend();
    }

    /// <summary>Reads the MAC address of window RBX, sets DRIVER_OK and offers all receive buffers.</summary>
    private void AssembleNetStart()
    {
        asm.Label(ref _netStart);
        for (int i = 0; i < 6; i++)
        {
            asm.mov(al, __byte_ptr[rbx + VirtioConfig + i]);
            asm.mov(__byte_ptr[MacAddress + i], al);
        }

        asm.mov(__dword_ptr[rbx + VirtioStatus], 0x0f);
        for (int i = 0; i < QueueSize; i++)
        {
            StoreDescriptor(
                GuestLayout.ReceiveQueue, i, ReceiveBase + (uint)(i * ReceiveBufferBytes), ReceiveBufferBytes, DescriptorWrite);
        }

        Label next = asm.CreateLabel();
        asm.xor(ecx, ecx);
        asm.Label(ref next);
        Offer(GuestLayout.ReceiveQueue, 0, NetWindow);
        asm.inc(ecx);
        asm.cmp(ecx, QueueSize);
        asm.jb(next);
        asm.ret();
    }

    /// <summary>
    /// Halts until a frame is there. RAX becomes its address, RDX its length, RCX its descriptor; the latter goes to
    /// <c>_netRelease</c> (in RCX) once the frame has been read. <c>_netPoll</c> does not wait: RAX becomes 0 if there is none.
    /// </summary>
    private void AssembleNetReceive()
    {
        Label have = asm.CreateLabel();
        Label none = asm.CreateLabel();
        asm.Label(ref _netPoll);
        asm.cli();
        asm.movzx(eax, __word_ptr[GuestLayout.ReceiveQueue + AvailableRing + 2]);
        asm.sub(eax, QueueSize);
        asm.cmp(ax, __word_ptr[GuestLayout.ReceiveQueue + UsedRing + 2]);
        asm.je(none);
        asm.jmp(have);
        asm.Label(ref none);
        asm.sti();
        asm.xor(eax, eax);
        asm.ret();

        asm.Label(ref _netReceive);
        asm.cli();

        // All buffers are offered but those taken and not yet released, so the next used index is the available one less the size.
        asm.movzx(eax, __word_ptr[GuestLayout.ReceiveQueue + AvailableRing + 2]);
        asm.sub(eax, QueueSize);
        asm.cmp(ax, __word_ptr[GuestLayout.ReceiveQueue + UsedRing + 2]);
        asm.jne(have);
        asm.sti();
        asm.hlt();
        asm.jmp(_netReceive);
        asm.Label(ref have);
        asm.sti();
        asm.and(eax, QueueSize - 1);
        asm.mov(ecx, __dword_ptr[(rax * 8) + GuestLayout.ReceiveQueue + UsedRing + 4]);
        asm.mov(edx, __dword_ptr[(rax * 8) + GuestLayout.ReceiveQueue + UsedRing + 8]);
        asm.sub(edx, NetHeaderBytes);
        asm.mov(eax, ecx);
        asm.imul(eax, eax, ReceiveBufferBytes);
        asm.add(eax, ReceiveBase + NetHeaderBytes);
        asm.ret();

        asm.Label(ref _netRelease);
        Offer(GuestLayout.ReceiveQueue, 0, NetWindow);
        asm.ret();
    }

    /// <summary>Sends the frame that lies after the header in the transmit buffer; EDI is its length.</summary>
    private void AssembleNetSend()
    {
        asm.Label(ref _netSend);
        asm.mov(__qword_ptr[GuestLayout.TransmitBuffer], 0);
        asm.mov(__dword_ptr[GuestLayout.TransmitBuffer + 8], 0);
        StoreDescriptor(GuestLayout.TransmitQueue, 0, GuestLayout.TransmitBuffer, 0, 0);
        asm.add(edi, NetHeaderBytes);
        asm.mov(__dword_ptr[GuestLayout.TransmitQueue + 8], edi);
        asm.xor(ecx, ecx);
        Offer(GuestLayout.TransmitQueue, 1, NetWindow);
        WaitUntilAllUsed(GuestLayout.TransmitQueue);
        asm.ret();
    }
}
