using System.Buffers.Binary;
using FtAkka.Cpu;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio;
using FtAkka.Machine.Virtio.Net;
using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Tests.Running;

/// <summary>What one run hands to the host is limited in bytes, whatever the guest's driver does.</summary>
public sealed class EffectBytesTests
{
    /// <summary>Far above what a driver in order sends in a fraction of a millisecond.</summary>
    private const long BytesMax = 8 << 20;

    private const ulong Table = 0x10_0000, Available = 0x11_0000, Used = 0x12_0000, Buffer = 0x20_0000;
    private const int TransmitQueue = 1;

    [Fact]
    public void Frames_of_one_run_are_bounded_in_bytes()
    {
        var config = new MachineConfig { MemoryBytes = 4 << 20, Entropy = false, Nics = [new NetOptions { Mac = [2, 0, 0, 0, 0, 1] }] };
        RequireBounded(config, 256, NetProtocol.HeaderBytes + 1514, notifications: 48, effect =>
            effect is NetTransmit transmit ? transmit.Frames.Sum(frame => (long)frame.Length) : 0);
    }

    [Fact]
    public void Console_output_of_one_run_is_bounded_in_bytes()
    {
        var config = new MachineConfig { MemoryBytes = 4 << 20, Entropy = false, VirtioConsole = true };
        RequireBounded(config, 16, 1 << 20, notifications: 1, effect => effect is ConsoleOutput { Console: ConsoleKind.Virtio } output ? output.Bytes.Length : 0);
    }

    /// <summary>A driver whose descriptors all name one buffer, and that makes all of them available again and again.</summary>
    private static void RequireBounded(MachineConfig config, ushort queueSize, uint bufferBytes, int notifications, Func<MachineEffect, long> bytesOf)
    {
        ScriptedMachine? made = null;
        ushort published = 0;
        using var scripted = new ScriptedMachine((icount, bus) =>
        {
            if (icount == 0)
            {
                SetUp(bus, queueSize);
            }
            else if (icount <= (ulong)notifications)
            {
                published += queueSize;
                byte[] index = new byte[2];
                BinaryPrimitives.WriteUInt16LittleEndian(index, published);
                made!.Machine.Memory.TryWrite(Available + 2, index);
                Write(bus, VirtioMmioRegister.QueueNotify, TransmitQueue);
            }
            return ScriptedStep.Next;
        }, config);
        made = scripted;
        for (ushort i = 0; i < queueSize; i++)
        {
            byte[] descriptor = new byte[Descriptor.SizeBytes];
            new Descriptor(Buffer, bufferBytes, 0, 0).Encode(descriptor);
            Assert.True(scripted.Machine.Memory.TryWrite(Table + (Descriptor.SizeBytes * (ulong)i), descriptor));
            Assert.True(scripted.Machine.Memory.TryWrite(Available + 4 + (2UL * i), [(byte)i, (byte)(i >> 8)]));
        }

        IReadOnlyList<MachineEffect> effects = scripted.Machine.Run((ulong)notifications + 1).Effects;
        long bytes = effects.Sum(bytesOf);
        Assert.True(bytes > 0, "nothing was sent");
        Assert.True(bytes <= BytesMax, $"{bytes} bytes in one run, in {effects.Count} effects: {BytesMax} are allowed");
    }

    private static void SetUp(ICpuBus bus, ushort queueSize)
    {
        const byte agreed = VirtioStatus.Acknowledge | VirtioStatus.Driver | VirtioStatus.FeaturesOk;
        Write(bus, VirtioMmioRegister.Status, VirtioStatus.Acknowledge);
        Write(bus, VirtioMmioRegister.Status, VirtioStatus.Acknowledge | VirtioStatus.Driver);
        Write(bus, VirtioMmioRegister.DriverFeaturesSelect, 1);
        Write(bus, VirtioMmioRegister.DriverFeatures, 1);   // VERSION_1, and nothing else
        Write(bus, VirtioMmioRegister.Status, agreed);
        Write(bus, VirtioMmioRegister.QueueSelect, TransmitQueue);
        Write(bus, VirtioMmioRegister.QueueNum, queueSize);
        Write(bus, VirtioMmioRegister.QueueDescriptorLow, (uint)Table);
        Write(bus, VirtioMmioRegister.QueueDriverLow, (uint)Available);
        Write(bus, VirtioMmioRegister.QueueDeviceLow, (uint)Used);
        Write(bus, VirtioMmioRegister.QueueReady, 1);
        Write(bus, VirtioMmioRegister.Status, agreed | VirtioStatus.DriverOk);
    }

    private static void Write(ICpuBus bus, uint register, uint value) => bus.MmioWrite(MemoryMap.VirtioBase + register, 4, value);
}
