using FtAkka.Machine.Bus;

namespace FtAkka.Machine.Interrupts;

/// <summary>Registers that both access modes share, and access by MMIO (xAPIC).</summary>
public sealed partial class LocalApic : IMmioDevice
{
    /// <summary>Guest physical address of the register page, or null while it answers nowhere (disabled, or in x2APIC mode).</summary>
    public ulong? MmioPage => IsEnabled && !IsX2Apic ? apicBase & ~0xFFFUL : null;

    /// <inheritdoc/>
    /// <remarks>
    /// Only the first four bytes of each 16 hold a register. Accesses other than aligned 32-bit ones are undefined on hardware
    /// (Intel SDM vol. 3A, 11.4.1): reads give the bytes there, writes are dropped.
    /// </remarks>
    public ulong MmioRead(ulong offset, int size)
    {
        var inRegister = (int)(offset & 0xF);
        return inRegister >= 4 ? 0 : (ulong)ReadXApic((int)(offset >> 4)) >> (inRegister * 8);
    }

    /// <inheritdoc/>
    public void MmioWrite(ulong offset, int size, ulong value)
    {
        if ((offset & 0xF) == 0 && size == 4)
            WriteXApic((int)(offset >> 4), (uint)value);
    }

    private uint ReadXApic(int register) => register switch
    {
        Register.Id => id,
        Register.LogicalDestination => logicalDestination,
        Register.DestinationFormat => destinationFormat,
        Register.ArbitrationPriority or Register.RemoteRead or Register.EndOfInterrupt => 0,
        Register.InterruptCommandHigh => interruptCommandHigh,
        _ => TryReadShared(register, out var value) ? value : IllegalRegisterRead(),
    };

    private void WriteXApic(int register, uint value)
    {
        switch (register)
        {
            case Register.Id:
                id = value & 0xFF00_0000;
                break;
            case Register.LogicalDestination:
                logicalDestination = value & 0xFF00_0000;
                break;
            case Register.DestinationFormat:
                destinationFormat = value | 0x0FFF_FFFF;
                break;
            case Register.EndOfInterrupt:
                EndOfInterrupt();
                break;
            case Register.InterruptCommandLow:
                interruptCommandLow = value & InterruptCommandWritable;
                SendInterprocessorInterrupt(interruptCommandHigh >> 24);
                break;
            case Register.InterruptCommandHigh:
                interruptCommandHigh = value & 0xFF00_0000;
                break;
            // Read-only registers ignore writes.
            case Register.Version or Register.ArbitrationPriority or Register.ProcessorPriority or Register.RemoteRead or Register.CurrentCount:
            case >= Register.InService and < Register.ErrorStatus:
                break;
            default:
                if (!TryWriteShared(register, value))
                    ReportError(ErrorBits.IllegalRegister);
                break;
        }
    }

    private uint IllegalRegisterRead()
    {
        ReportError(ErrorBits.IllegalRegister);
        return 0;
    }

    /// <summary>Registers that read the same by MMIO and by MSR.</summary>
    private bool TryReadShared(int register, out uint value)
    {
        uint? found = register switch
        {
            Register.Version => VersionValue,
            Register.TaskPriority => taskPriority,
            Register.ProcessorPriority => ProcessorPriority,
            Register.SpuriousVector => spuriousVector,
            >= Register.InService and < Register.TriggerMode => inService.Register(register - Register.InService),
            >= Register.TriggerMode and < Register.Requested => triggerMode.Register(register - Register.TriggerMode),
            >= Register.Requested and < Register.ErrorStatus => requested.Register(register - Register.Requested),
            Register.ErrorStatus => errorsShown,
            Register.InterruptCommandLow => interruptCommandLow,
            >= Register.LvtTimer and <= Register.LvtError => lvt[register - Register.LvtTimer],
            Register.InitialCount => timer.InitialCount,
            Register.CurrentCount => timer.CurrentCount(readTsc()),
            Register.DivideConfiguration => timer.DivideConfiguration,
            _ => null,
        };
        value = found ?? 0;
        return found is not null;
    }

    /// <summary>Registers that are written the same by MMIO and by MSR; reserved bits are dropped here, refused before for MSRs.</summary>
    private bool TryWriteShared(int register, uint value)
    {
        switch (register)
        {
            case Register.TaskPriority:
                taskPriority = value & 0xFF;
                return true;
            case Register.SpuriousVector:
                WriteSpuriousVector(value);
                return true;
            case Register.ErrorStatus:
                // A write makes the register show what was noted since the last write (Intel SDM vol. 3A, 11.5.3).
                (errorsShown, errorsPending) = (errorsPending, 0);
                return true;
            case >= Register.LvtTimer and <= Register.LvtError:
                WriteLvt((LvtEntry)(register - Register.LvtTimer), value);
                return true;
            case Register.InitialCount:
                timer.Start(value, readTsc());
                TimerChanged?.Invoke();
                return true;
            case Register.DivideConfiguration:
                timer.SetDivideConfiguration(value, readTsc());
                TimerChanged?.Invoke();
                return true;
            default:
                return false;
        }
    }

    private void WriteSpuriousVector(uint value)
    {
        spuriousVector = value & 0x3FF;
        if (IsSoftwareEnabled)
            return;
        // While software-disabled all LVT masks are set and cannot be cleared (Intel SDM vol. 3A, 11.4.7.2).
        for (var i = 0; i < lvt.Length; i++)
            lvt[i] |= LvtMasked;
    }

    private void WriteLvt(LvtEntry entry, uint value)
    {
        lvt[(int)entry] = (value & lvtWritable[(int)entry]) | (IsSoftwareEnabled ? 0 : LvtMasked);
        if (entry == LvtEntry.Timer)
        {
            timer.SetMode((ApicTimerMode)(value >> 17 & 3));
            TimerChanged?.Invoke();
        }
    }
}
