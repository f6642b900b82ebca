using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace FtAkka.TinyGuests;

/// <summary>virtio-mmio transport and split virtqueues of sixteen entries (virtio 1.2, 2.7 and 4.2).</summary>
internal sealed partial class TinyKernel
{
    // Registers (virtio 1.2, 4.2.2).
    private const int VirtioInterruptStatus = 0x60;
    private const int VirtioInterruptAck = 0x64;
    private const int VirtioQueueNotify = 0x50;
    private const int VirtioStatus = 0x70;
    private const int VirtioConfig = 0x100;

    private const int NetDevice = 1;
    private const int BlockDevice = 2;
    private const int QueueSize = 16;

    // A queue takes one page: descriptors, then the available and the used ring.
    private const int AvailableRing = 0x400;
    private const int UsedRing = 0x800;

    private const int DescriptorNext = 1;
    private const int DescriptorWrite = 2;

    private Label _findDevices;
    private Label _startDevice;
    private Label _driverReady;
    private Label _setUpQueue;
    private Label _deviceRefused;
    private Label _blockRequest;
    private Label _blockSubmit;
    private Label _netStart;
    private Label _netReceive;
    private Label _netPoll;
    private Label _netRelease;
    private Label _netSend;

    private void CreateVirtioLabels()
    {
        _findDevices = asm.CreateLabel();
        _startDevice = asm.CreateLabel();
        _driverReady = asm.CreateLabel();
        _setUpQueue = asm.CreateLabel();
        _deviceRefused = asm.CreateLabel();
        _blockRequest = asm.CreateLabel();
        _blockSubmit = asm.CreateLabel();
        _netStart = asm.CreateLabel();
        _netReceive = asm.CreateLabel();
        _netPoll = asm.CreateLabel();
        _netRelease = asm.CreateLabel();
        _netSend = asm.CreateLabel();
    }

    private void AssembleVirtio()
    {
        AssembleFindDevices();
        AssembleStartDevice();
        AssembleSetUpQueue();
        asm.Label(ref _deviceRefused);
        Print("virtio device refused\n");
        asm.jmp(_reset);
    }

    /// <summary>Looks at every window and starts the disk and the network device that it finds; the first of each counts.</summary>
    private void AssembleFindDevices()
    {
        Label window = asm.CreateLabel();
        Label next = asm.CreateLabel();
        Label net = asm.CreateLabel();
        asm.Label(ref _findDevices);
        asm.push(rbx);
        asm.push(rbp);
        asm.mov(ebx, GuestLayout.VirtioBase);
        asm.mov(ebp, GuestLayout.VirtioWindows);
        asm.Label(ref window);
        asm.cmp(__dword_ptr[rbx], 0x7472_6976); // "virt"
        asm.jne(next);
        asm.cmp(__dword_ptr[rbx + 4], 2); // the version that is not "legacy"
        asm.jne(next);
        asm.mov(eax, __dword_ptr[rbx + 8]);
        asm.cmp(eax, NetDevice);
        asm.je(net);
        asm.cmp(eax, BlockDevice);
        asm.jne(next);
        asm.cmp(__qword_ptr[BlockWindow], 0);
        asm.jne(next);
        asm.mov(__qword_ptr[BlockWindow], rbx);
        asm.mov(rdi, rbx);
        asm.mov(esi, 1 << 9); // VIRTIO_BLK_F_FLUSH
        asm.call(_startDevice);
        SetUpQueue(0, GuestLayout.BlockQueue);
        asm.mov(__dword_ptr[rbx + VirtioStatus], 0x0f);
        asm.jmp(next);

        asm.Label(ref net);
        asm.cmp(__qword_ptr[NetWindow], 0);
        asm.jne(next);
        asm.mov(__qword_ptr[NetWindow], rbx);
        asm.mov(rdi, rbx);
        asm.mov(esi, 1 << 5); // VIRTIO_NET_F_MAC
        asm.call(_startDevice);
        SetUpQueue(0, GuestLayout.ReceiveQueue);
        SetUpQueue(1, GuestLayout.TransmitQueue);
        asm.call(_netStart);

        asm.Label(ref next);
        asm.add(rbx, __qword_ptr[WindowStride]);
        asm.dec(ebp);
        asm.jne(window);
        asm.pop(rbp);
        asm.pop(rbx);
        asm.ret();
    }

    private void SetUpQueue(int index, uint page)
    {
        asm.mov(rdi, rbx);
        asm.mov(esi, index);
        asm.mov(edx, page);
        asm.call(_setUpQueue);
    }

    /// <summary>Resets the device in window RDI and agrees on VERSION_1 and those of the features in ESI that it offers.</summary>
    private void AssembleStartDevice()
    {
        asm.Label(ref _startDevice);
        asm.mov(__dword_ptr[rdi + VirtioStatus], 0);
        asm.mov(__dword_ptr[rdi + VirtioStatus], 1); // ACKNOWLEDGE
        asm.mov(__dword_ptr[rdi + VirtioStatus], 3); // DRIVER
        asm.mov(__dword_ptr[rdi + 0x14], 0);
        asm.and(esi, __dword_ptr[rdi + 0x10]);
        asm.mov(__dword_ptr[rdi + 0x24], 0);
        asm.mov(__dword_ptr[rdi + 0x20], esi);
        asm.mov(__dword_ptr[rdi + 0x14], 1);
        asm.mov(eax, __dword_ptr[rdi + 0x10]);
        asm.test(eax, 1);
        asm.je(_deviceRefused);
        asm.mov(__dword_ptr[rdi + 0x24], 1);
        asm.mov(__dword_ptr[rdi + 0x20], 1); // VIRTIO_F_VERSION_1 is bit 32
        asm.mov(__dword_ptr[rdi + VirtioStatus], 0x0b); // FEATURES_OK
        asm.mov(eax, __dword_ptr[rdi + VirtioStatus]);
        asm.test(eax, 8);
        asm.je(_deviceRefused);
        asm.ret();
    }

    /// <summary>Gives queue ESI of window RDI the page at RDX.</summary>
    private void AssembleSetUpQueue()
    {
        asm.Label(ref _setUpQueue);
        asm.mov(r8, rdi);
        asm.mov(rdi, rdx);
        asm.xor(eax, eax);
        asm.mov(ecx, PageBytes / 8);
        asm.rep.stosq();
        asm.mov(__dword_ptr[r8 + 0x30], esi);
        asm.cmp(__dword_ptr[r8 + 0x34], QueueSize);
        asm.jb(_deviceRefused);
        asm.mov(__dword_ptr[r8 + 0x38], QueueSize);
        foreach ((int register, int part) in new[] { (0x80, 0), (0x90, AvailableRing), (0xa0, UsedRing) })
        {
            asm.lea(eax, __[rdx + part]);
            asm.mov(__dword_ptr[r8 + register], eax);
            asm.mov(__dword_ptr[r8 + register + 4], 0);
        }

        asm.mov(__dword_ptr[r8 + 0x44], 1);
        asm.ret();
    }

    private void StoreDescriptor(uint queue, int index, uint address, uint lengthBytes, int flags)
    {
        uint descriptor = queue + ((uint)index * 16);
        asm.mov(__qword_ptr[descriptor], (int)address);
        asm.mov(__dword_ptr[descriptor + 8], lengthBytes);
        asm.mov(__word_ptr[descriptor + 12], (short)flags);
        asm.mov(__word_ptr[descriptor + 14], (short)(index + 1));
    }

    /// <summary>Offers the chain that starts at the descriptor in CX and tells the device; changes RAX and RDX.</summary>
    private void Offer(uint queue, int queueIndex, uint window)
    {
        asm.movzx(eax, __word_ptr[queue + AvailableRing + 2]);
        asm.mov(edx, eax);
        asm.and(edx, QueueSize - 1);
        asm.mov(__word_ptr[(rdx * 2) + queue + AvailableRing + 4], cx);
        asm.inc(eax);
        asm.mov(__word_ptr[queue + AvailableRing + 2], ax);
        asm.mfence();
        asm.mov(rdx, __qword_ptr[window]);
        asm.mov(__dword_ptr[rdx + VirtioQueueNotify], queueIndex);
    }

    /// <summary>Halts until the device has used everything that was offered; interrupts are on afterwards.</summary>
    private void WaitUntilAllUsed(uint queue)
    {
        Label look = asm.CreateLabel();
        Label done = asm.CreateLabel();
        asm.Label(ref look);
        asm.cli();
        asm.movzx(eax, __word_ptr[queue + UsedRing + 2]);
        asm.cmp(ax, __word_ptr[queue + AvailableRing + 2]);
        asm.je(done);
        asm.sti();
        asm.hlt();
        asm.jmp(look);
        asm.Label(ref done);
        asm.sti();
    }
}
