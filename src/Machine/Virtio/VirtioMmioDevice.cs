using System.Collections.Immutable;
using System.Runtime.InteropServices;
using FtAkka.Cpu.Memory;
using FtAkka.Machine.Bus;
using FtAkka.Machine.Snapshots;
using FtAkka.Machine.Virtio.Queues;

namespace FtAkka.Machine.Virtio;

/// <summary>
/// The virtio-mmio transport, version 2 (virtio 1.2 §4.2): control registers, feature negotiation, device status, queues and the
/// level-triggered interrupt of one device, whose type is a <see cref="VirtioModel"/>. Sans I/O: runs inside register accesses and
/// inside the model's input events only.
/// </summary>
public sealed partial class VirtioMmioDevice : IMmioDevice, ISnapshotable
{
    private readonly IInterruptLine line;
    private readonly ImmutableArray<Virtqueue> queues;
    private uint deviceFeaturesSelect;
    private uint driverFeaturesSelect;
    private ulong driverFeatures;
    private uint queueSelect;
    private uint configurationGeneration;
    private byte interruptStatus;

    /// <summary>Puts <paramref name="model"/> behind a register window.</summary>
    /// <param name="model">The device type; belongs to this transport from now on.</param>
    /// <param name="memory">Guest RAM.</param>
    /// <param name="line">Level-triggered interrupt wire: asserted while InterruptStatus is not zero.</param>
    public VirtioMmioDevice(VirtioModel model, IGuestPhysicalMemory memory, IInterruptLine line)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(line);
        Model = model;
        Memory = memory;
        this.line = line;
        var created = new Virtqueue[model.QueueSizesMax.Count];
        for (int i = 0; i < created.Length; i++)
        {
            created[i] = new Virtqueue(memory, model.QueueSizesMax[i]);
        }
        queues = ImmutableCollectionsMarshal.AsImmutableArray(created);
        model.Attach(this);
    }

    /// <summary>The device type.</summary>
    public VirtioModel Model { get; }

    /// <summary>Guest RAM.</summary>
    public IGuestPhysicalMemory Memory { get; }

    /// <summary>The device status field (<see cref="VirtioStatus"/>).</summary>
    public byte Status { get; private set; }

    /// <summary>Features both sides agreed on; 0 before FEATURES_OK.</summary>
    public ulong NegotiatedFeatures => (Status & VirtioStatus.FeaturesOk) != 0 ? driverFeatures : 0;

    /// <summary>Why the device needs a reset, or <see cref="VirtqueueFault.None"/>. For diagnostics.</summary>
    public VirtqueueFault LastFault { get; private set; }

    /// <summary>True between DRIVER_OK and a reset or a broken queue: only then the device touches queues (§2.1.2, §3.1.1).</summary>
    public bool IsLive => (Status & (VirtioStatus.DriverOk | VirtioStatus.DeviceNeedsReset)) == VirtioStatus.DriverOk;

    /// <summary>The queue with this index.</summary>
    internal Virtqueue Queue(int index) => queues[index];

    /// <inheritdoc/>
    public ulong MmioRead(ulong offset, int size)
    {
        if (offset >= VirtioMmioRegister.Configuration)
        {
            return ReadConfiguration(offset - VirtioMmioRegister.Configuration, size);
        }
        // §4.2.2.2: control registers are accessed with aligned 32-bit accesses only. Anything else reads as zero.
        return size == 4 && offset % 4 == 0 ? ReadControl((uint)offset) : 0;
    }

    /// <inheritdoc/>
    public void MmioWrite(ulong offset, int size, ulong value)
    {
        if (offset >= VirtioMmioRegister.Configuration)
        {
            ulong field = offset - VirtioMmioRegister.Configuration;
            if (field + (ulong)size <= (ulong)Model.Configuration.Length)
            {
                Model.WriteConfiguration((uint)field, size, value);
            }
            return;
        }
        if (size == 4 && offset % 4 == 0)
        {
            WriteControl((uint)offset, (uint)value);
        }
    }

    private ulong ReadConfiguration(ulong offset, int size)
    {
        ReadOnlySpan<byte> space = Model.Configuration;
        ulong value = 0;
        for (int i = 0; i < size && offset + (ulong)i < (ulong)space.Length; i++)
        {
            value |= (ulong)space[(int)offset + i] << (8 * i);
        }
        return value;
    }

    private uint ReadControl(uint register) => register switch
    {
        VirtioMmioRegister.MagicValue => VirtioMmioRegister.Magic,
        VirtioMmioRegister.Version => VirtioMmioRegister.ModernVersion,
        VirtioMmioRegister.DeviceId => Model.DeviceId,
        VirtioMmioRegister.VendorId => VirtioMmioRegister.Vendor,
        VirtioMmioRegister.DeviceFeatures => Half(Model.OfferedFeatures, deviceFeaturesSelect),
        VirtioMmioRegister.QueueNumMax => Selected?.SizeMax ?? 0,
        VirtioMmioRegister.QueueReady => Selected is { Ready: true } ? 1u : 0u,
        VirtioMmioRegister.InterruptStatus => interruptStatus,
        VirtioMmioRegister.Status => Status,
        // §4.2.2: a shared memory region that does not exist has a length of all-ones.
        >= VirtioMmioRegister.SharedMemoryLengthLow and <= VirtioMmioRegister.SharedMemoryBaseHigh => uint.MaxValue,
        VirtioMmioRegister.ConfigGeneration => configurationGeneration,
        _ => 0,
    };

    private void WriteControl(uint register, uint value)
    {
        switch (register)
        {
            case VirtioMmioRegister.DeviceFeaturesSelect:
                deviceFeaturesSelect = value;
                break;
            case VirtioMmioRegister.DriverFeaturesSelect:
                driverFeaturesSelect = value;
                break;
            case VirtioMmioRegister.DriverFeatures:
                WriteDriverFeatures(value);
                break;
            case VirtioMmioRegister.QueueSelect:
                queueSelect = value;
                break;
            case VirtioMmioRegister.QueueNotify:
                if (IsLive && value < (uint)queues.Length)
                {
                    Model.Notified((int)value);
                }
                break;
            case VirtioMmioRegister.InterruptAcknowledge:
                SetInterruptStatus((byte)(interruptStatus & ~value));
                break;
            case VirtioMmioRegister.Status:
                WriteStatus((byte)value);
                break;
            default:
                if (Selected is { } queue)
                {
                    WriteQueue(queue, register, value);
                }
                break;
        }
    }

    private void WriteQueue(Virtqueue queue, uint register, uint value)
    {
        switch (register)
        {
            case VirtioMmioRegister.QueueNum:
                queue.Configure(size: value);
                break;
            case VirtioMmioRegister.QueueDescriptorLow:
                queue.Configure(descriptorTable: Low(queue.DescriptorTable, value));
                break;
            case VirtioMmioRegister.QueueDescriptorHigh:
                queue.Configure(descriptorTable: High(queue.DescriptorTable, value));
                break;
            case VirtioMmioRegister.QueueDriverLow:
                queue.Configure(driverArea: Low(queue.DriverArea, value));
                break;
            case VirtioMmioRegister.QueueDriverHigh:
                queue.Configure(driverArea: High(queue.DriverArea, value));
                break;
            case VirtioMmioRegister.QueueDeviceLow:
                queue.Configure(deviceArea: Low(queue.DeviceArea, value));
                break;
            case VirtioMmioRegister.QueueDeviceHigh:
                queue.Configure(deviceArea: High(queue.DeviceArea, value));
                break;
            case VirtioMmioRegister.QueueReady:
                WriteQueueReady(queue, value);
                break;
            default:
                break;   // Read-only or unknown: writes are ignored (§4.2.2.1).
        }
    }

    private void WriteQueueReady(Virtqueue queue, uint value)
    {
        if ((value & 1) == 0)
        {
            if (queue.Ready)
            {
                queue.Disable();
                Model.QueueReleased((int)queueSelect);
            }
            return;
        }
        // Queues are set up between FEATURES_OK and DRIVER_OK (§3.1.1, step 7); the ring format depends on the features.
        if ((Status & VirtioStatus.FeaturesOk) == 0)
        {
            return;
        }
        queue.EventIndex = (NegotiatedFeatures & VirtioFeatures.EventIndex) != 0;
        queue.IndirectDescriptors = (NegotiatedFeatures & VirtioFeatures.IndirectDescriptors) != 0;
        if (!queue.TryEnable())
        {
            NeedsReset(queue.Fault);
        }
    }

    private void WriteDriverFeatures(uint value)
    {
        // §3.1.1: after FEATURES_OK the driver must not accept new feature bits; a late write is ignored.
        if ((Status & VirtioStatus.FeaturesOk) != 0)
        {
            return;
        }
        driverFeatures = driverFeaturesSelect switch
        {
            0 => Low(driverFeatures, value),
            1 => High(driverFeatures, value),
            _ => driverFeatures,
        };
    }

    private void WriteStatus(byte value)
    {
        if (value == 0)
        {
            Reset();
            return;
        }
        // §2.1.1: the driver must not clear bits other than by a reset, and only the device sets DEVICE_NEEDS_RESET.
        byte added = (byte)(value & VirtioStatus.DriverBits & ~Status);
        if ((added & VirtioStatus.FeaturesOk) != 0 && !FeaturesAgree())
        {
            added &= unchecked((byte)~VirtioStatus.FeaturesOk);   // The driver reads the status back (§3.1.1, step 6).
        }
        // DRIVER_OK without FEATURES_OK has no meaning in virtio 1.x: there is nothing agreed to work by.
        if (((Status | added) & VirtioStatus.FeaturesOk) == 0)
        {
            added &= unchecked((byte)~VirtioStatus.DriverOk);
        }
        Status |= added;
        if ((added & VirtioStatus.DriverOk) != 0 && IsLive)
        {
            Model.DriverReady();
            // Buffers exposed before DRIVER_OK were not looked at (§3.1.1); some drivers do not notify again.
            for (int i = 0; i < queues.Length && IsLive; i++)
            {
                if (queues[i].Ready)
                {
                    Model.Notified(i);
                }
            }
        }
    }

    private bool FeaturesAgree() =>
        (driverFeatures & ~Model.OfferedFeatures) == 0
        && (driverFeatures & VirtioFeatures.Version1) != 0
        && Model.AcceptsFeatures(driverFeatures);

    /// <summary>Device reset (§2.4), by the guest or by a reset of the machine. Complete when the call returns.</summary>
    public void Reset()
    {
        Status = 0;
        driverFeatures = 0;
        deviceFeaturesSelect = driverFeaturesSelect = queueSelect = 0;
        LastFault = VirtqueueFault.None;
        foreach (Virtqueue queue in queues)
        {
            queue.Reset();
        }
        Model.Reset();
        SetInterruptStatus(0);
    }

    /// <summary>Interrupts the driver if it wants to hear of what was pushed to the queue since the last call.</summary>
    internal void SignalUsed(int queue)
    {
        if (IsLive && queues[queue].TakeInterruptDecision())
        {
            SetInterruptStatus((byte)(interruptStatus | VirtioInterrupt.UsedBuffer));
        }
    }

    /// <summary>The configuration space changed.</summary>
    internal void ConfigurationChanged()
    {
        unchecked
        {
            configurationGeneration++;
        }
        if ((Status & VirtioStatus.DriverOk) != 0)
        {
            SetInterruptStatus((byte)(interruptStatus | VirtioInterrupt.ConfigurationChange));
        }
    }

    /// <summary>Marks the device as broken until the driver resets it; tells the driver if it is up (§2.1.2).</summary>
    internal void NeedsReset(VirtqueueFault fault)
    {
        if ((Status & VirtioStatus.DeviceNeedsReset) != 0)
        {
            return;
        }
        LastFault = fault;
        Status |= VirtioStatus.DeviceNeedsReset;
        if ((Status & VirtioStatus.DriverOk) != 0)
        {
            SetInterruptStatus((byte)(interruptStatus | VirtioInterrupt.ConfigurationChange));
        }
    }

    private Virtqueue? Selected => queueSelect < (uint)queues.Length ? queues[(int)queueSelect] : null;

    private void SetInterruptStatus(byte value)
    {
        interruptStatus = value;
        line.Drive(value != 0);
    }

    private static uint Half(ulong value, uint select) => select switch
    {
        0 => (uint)value,
        1 => (uint)(value >> 32),
        _ => 0,
    };

    private static ulong Low(ulong current, uint value) => (current & 0xFFFF_FFFF_0000_0000) | value;

    private static ulong High(ulong current, uint value) => (current & 0xFFFF_FFFF) | ((ulong)value << 32);
}
