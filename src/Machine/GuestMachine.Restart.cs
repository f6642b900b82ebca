using FtAkka.Cpu.Memory;
using FtAkka.Machine.Acpi;
using FtAkka.Machine.Boot;
using FtAkka.Machine.Devices;
using FtAkka.Machine.Events;
using FtAkka.Machine.Snapshots;

namespace FtAkka.Machine;

/// <summary>
/// What follows when the guest reboots, switches the machine off, or has crashed. The machine decides it by its configuration and its state, behind the same
/// instruction on every replica; a log says nothing of it.
/// </summary>
public sealed partial class GuestMachine
{
    /// <summary>A machine that has crashed so often in a row is held instead of started again.</summary>
    public const int CrashesInRowMax = 5;

    /// <summary>A guest that has lived so long since its start, by its clock, has not crashed in a row with what was before.</summary>
    public const int SteadySeconds = 300;

    /// <summary>
    /// Word of the BIOS data area in which a kernel says how it wants to be started again. Linux writes <see cref="WarmBoot"/> for a warm boot, which the
    /// command line asks for after a panic (<c>reboot=panic_warm</c>), and 0 otherwise.
    /// </summary>
    private const ulong BootFlagAddress = 0x472;

    private const ushort WarmBoot = 0x1234;

    private static readonly byte[] zeroPage = new byte[GuestMemory.PageSizeBytes];

    private BootFiles? bootFiles;
    private ulong bootHash;
    private ulong startedTsc;
    private uint crashesInRow;
    /// <summary>What the guest asked for in the present instruction, to be done behind it.</summary>
    private MachineExitReason? asked;

    /// <summary>What the machine starts from; null if it was restored from a snapshot and nobody has given them (<see cref="TryTakeBootFiles"/>).</summary>
    public BootFiles? BootFiles => bootFiles;

    /// <summary>How often the machine was started again since power-on.</summary>
    public ulong Restarts { get; private set; }

    /// <summary>Loads a Linux kernel and sets the CPU to its entry.</summary>
    /// <returns>Null, or what is wrong; the machine is of no use then.</returns>
    public BootError? LoadLinux(ReadOnlyMemory<byte> kernel, ReadOnlyMemory<byte> initrd)
    {
        bootFiles = new BootFiles(kernel, initrd);
        bootHash = bootFiles.Hash;
        return Boot(bootFiles);
    }

    /// <summary>Gives a restored machine what it starts from at a reset. False, and nothing taken, if these are not the files it was started with.</summary>
    /// <param name="files">The files; null for none, which is right for a machine that has never loaded any.</param>
    public bool TryTakeBootFiles(BootFiles? files)
    {
        if ((files?.Hash ?? 0) != bootHash)
            return false;
        bootFiles = files;
        return true;
    }

    private BootError? Boot(BootFiles files)
    {
        var windows = Enumerable.Range(0, plugged.Count).Select(VirtioWindow.At).ToArray();
        var error = LinuxLoader.Load(Memory, files.Kernel.Span, files.Initrd.Span, config.CommandLine, AcpiTables.Build(windows), out var entry);
        if (error is null)
            cpu.EnterKernel(entry);
        return error;
    }

    /// <summary>From inside the guest's access to the power controller.</summary>
    private void OnPowerRequest(PowerRequest request)
    {
        if (ended is not null || asked is not null)
            return;
        var reason = request == PowerRequest.PowerOff ? MachineExitReason.PowerOff
            : SaysWarmBoot() ? MachineExitReason.Panic : MachineExitReason.Reset;
        if (PolicyOf(reason) == EndPolicy.Stop)
        {
            End(reason);
            return;
        }
        asked = reason;
        cpu.RequestStop();
    }

    private bool SaysWarmBoot()
    {
        Span<byte> flag = stackalloc byte[2];
        return Memory.TryRead(BootFlagAddress, flag) && flag[0] == (WarmBoot & 0xFF) && flag[1] == WarmBoot >> 8;
    }

    private EndPolicy PolicyOf(MachineExitReason reason)
    {
        var policy = reason switch
        {
            MachineExitReason.PowerOff => config.OnPowerOff,
            MachineExitReason.Reset => config.OnReboot,
            _ => config.OnCrash,
        };
        return policy == EndPolicy.Restart && bootFiles is null ? EndPolicy.Stop : policy;
    }

    /// <summary>The CPU is in shutdown. An instruction that was not executed is no end of a machine that goes on: it counts, so that what comes behind has an icount of its own.</summary>
    private void OnTripleFault()
    {
        if (PolicyOf(MachineExitReason.TripleFault) == EndPolicy.Stop)
        {
            ended = MachineExitReason.TripleFault;
            return;
        }
        cpu.CountShutdown();
        Conclude(MachineExitReason.TripleFault);
    }

    /// <summary>Between two instructions: what the policy says.</summary>
    private void Conclude(MachineExitReason reason)
    {
        var isCrash = reason is MachineExitReason.TripleFault or MachineExitReason.Panic;
        var wasSteady = Tsc - startedTsc >= (ulong)SteadySeconds * config.TscHz;
        crashesInRow = !isCrash ? 0 : wasSteady ? 1 : crashesInRow + 1;
        if (PolicyOf(reason) == EndPolicy.Hold || crashesInRow >= CrashesInRowMax)
        {
            ended = MachineExitReason.Held;
            effects.Add(new MachineHeld(cpu.Icount, reason, crashesInRow));
        }
        else
        {
            Restart(reason);
        }
    }

    /// <summary>Everything as at power-on, but for what goes on: icount, clock, what the consoles have sent, the entropy device's stream, and the numbers of disk requests.</summary>
    private void Restart(MachineExitReason cause)
    {
        ended = null;
        Restarts++;
        startedTsc = Tsc;
        foreach (var device in plugged)
            device.Reset();
        uart.Reset();
        rtc.Reset();
        ioApic.Reset();
        // Behind the others: what they send on the way to their state of rest is nobody's.
        localApic.PowerOn();
        ClearMemory();
        if (bootFiles is null || Boot(bootFiles) is not null)
            throw new InvalidOperationException("A kernel that was loaded at power-on cannot be loaded again.");
        // How a replica came to these pages need not be the same everywhere: the next digest covers all of them.
        digestLog?.AddAll();
        effects.Add(new MachineRestarted(cpu.Icount, cause));
        UpdateInterruptLines();
    }

    /// <summary>Writes only what is not zero already, so that memory which was never touched stays so.</summary>
    private void ClearMemory()
    {
        for (var page = 0; page < Memory.PageCount; page++)
        {
            if (Memory.Page(page).ContainsAnyExcept((byte)0))
                Memory.TryWrite(Memory.PhysicalAddressOf(page), zeroPage);
        }
    }

    /// <summary>Absent of a machine that was never started again and has not crashed: such a machine's digests are what they were before there were restarts.</summary>
    private void SnapshotRestarts(StateWriter writer)
    {
        if (Restarts == 0 && crashesInRow == 0)
            return;
        var section = writer.BeginSection("RSET", 1);
        writer.WriteUInt64(Restarts);
        writer.WriteUInt64(startedTsc);
        writer.WriteUInt32(crashesInRow);
        writer.EndSection(section);
    }

    private void RestoreRestarts(StateReader reader)
    {
        (Restarts, startedTsc, crashesInRow) = (0, 0, 0);
        if (reader.RemainingBytes == 0)
            return;
        reader.BeginSection("RSET", 1);
        Restarts = reader.ReadUInt64();
        startedTsc = reader.ReadUInt64();
        crashesInRow = reader.ReadUInt32();
        reader.EndSection();
    }
}
