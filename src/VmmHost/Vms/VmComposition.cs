using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.Cpu.Architecture;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Disks;
using FtAkka.DeviceActors.Fencing;
using FtAkka.Machine;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Nodes;
using FtAkka.Nodes.HostFiles;
using FtAkka.Nodes.Labels;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.VmFiles;

namespace FtAkka.VmmHost.Vms;

/// <summary>
/// The one way from a VM's description to what runs: <see cref="ProfileOf"/> says which machine it is, for every verb and for a node;
/// <see cref="Open"/> adds kernel and devices for a VM that runs in this process. Until the definition is handed to a <see cref="VmActor"/>, whose
/// device actors close what they own, disposing the composition closes it.
/// </summary>
internal sealed class VmComposition : IDisposable
{
    /// <summary>Largest kernel or initrd, in bytes; they are held in memory whole.</summary>
    public const int BootFileBytesMax = FtAkka.Machine.Boot.BootFiles.FileBytesMax;

    private static readonly TimeSpan BootFileTime = TimeSpan.FromSeconds(60);

    private readonly DeviceOpener opener = new(Fence.None);

    private VmComposition()
    {
    }

    /// <summary>Hardware, kernel and devices; without observers.</summary>
    public VmDefinition Definition { get; private set; } = null!;

    /// <summary>What the guest boots from, for people.</summary>
    public string BootFiles { get; private set; } = "";

    /// <summary>The VM as it is from power-on: what its description leaves to the host is chosen now.</summary>
    /// <param name="spec">The description.</param>
    /// <param name="diskOf">What the guest is told of a disk, which somebody must look at for that.</param>
    /// <exception cref="CommandFailedException">This host's CPU cannot be the one asked for.</exception>
    public static VmProfile ProfileOf(VmSpec spec, Func<DiskSpec, int, VmProfile.Disk> diskOf) => new()
    {
        Name = spec.Name,
        CpuModel = CpuModel.WhyNotHere(spec.CpuModel) is { } refusal ? throw new CommandFailedException(refusal) : spec.CpuModel,
        MemoryBytes = spec.MemoryBytes,
        CommandLine = KernelCommandLine.Compose(spec.Append),
        BootUnixSeconds = DateTimeOffset.UtcNow.ToUnixTimeSeconds(),
        RngSeed = spec.RngSeed ?? BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(sizeof(ulong))),
        OnReboot = spec.OnReboot,
        OnCrash = spec.OnCrash,
        OnPowerOff = spec.OnPowerOff,
        Disks = [.. spec.Disks.Select(diskOf)],
        Nics = [.. spec.Nics.Select((nic, i) => new VmProfile.Nic(nic.Target, nic.Name, nic.Listen, Convert.ToHexString((nic.Mac ?? MacOf(spec.Name, i)).AsSpan()), nic.Mtu))],
    };

    /// <summary>Opens everything for a VM of this process, which has no backup.</summary>
    /// <param name="spec">The description; its kernel is given.</param>
    /// <param name="stdio">Makes the console on standard input and output.</param>
    /// <exception cref="CommandFailedException">Something is missing, refused or damaged; the message says what.</exception>
    public static VmComposition Open(VmSpec spec, Func<IConsoleLink> stdio)
    {
        CheckConsoles(spec.Console, spec.VirtioConsole);
        var composition = new VmComposition();
        try
        {
            VmProfile profile = ProfileOf(spec, composition.OpenDisk);
            for (int i = 0; i < profile.Nics.Length; i++)
            {
                composition.OpenNic(i, profile.Nics[i]);
            }
            MachineConfig config = profile.Machine with { VirtioConsole = spec.VirtioConsole.Target != ConsoleTarget.None };
            if (config.FindError() is { } wrong)
            {
                throw new CommandFailedException(wrong);
            }
            byte[] kernel = Read("kernel", spec.Kernel!);
            byte[] initrd = spec.Initrd is { } path ? Read("initrd", path) : [];
            composition.BootFiles = spec.Initrd is null ? $"the kernel {spec.Kernel}" : $"the kernel {spec.Kernel} with the initrd {spec.Initrd}";
            composition.OpenConsole(ConsoleKind.Serial, spec.Console, stdio);
            composition.OpenConsole(ConsoleKind.Virtio, spec.VirtioConsole, stdio);
            composition.Definition = new VmDefinition
            {
                Name = spec.Name,
                Machine = new MachineOptions
                {
                    Config = config,
                    Kernel = kernel,
                    Initrd = initrd,
                    // A million instructions per second are a thousand per millisecond.
                    InstructionsPerMillisecond = spec.Limits.PaceMips * 1000,
                },
                Devices = composition.opener.Devices,
            };
            return composition;
        }
        catch
        {
            composition.Dispose();
            throw;
        }
    }

    /// <summary>From now on the device actors own what was opened.</summary>
    public void HandOver() => opener.HandOver();

    /// <summary>Closes what was opened and not handed over.</summary>
    public void Dispose() => opener.Dispose();

    /// <summary>Reads a file that the guest boots from.</summary>
    /// <exception cref="CommandFailedException">It cannot be read, or not in time; it is too long, or no regular file.</exception>
    public static byte[] Read(string what, string path)
    {
        try
        {
            return RegularFile.ReadWithin(BootFileTime, path, BootFileBytesMax);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"Cannot read the {what}: {refused.Message}", refused);
        }
    }

    private static void CheckConsoles(ConsoleSpec serial, ConsoleSpec virtio)
    {
        if (serial.Target != ConsoleTarget.None && serial == virtio)
        {
            string place = serial.Path ?? "standard input and output";
            throw new CommandFailedException($"The serial and the virtio console cannot both be at {place}: give one of them another place, or none.");
        }
    }

    private VmProfile.Disk OpenDisk(DiskSpec disk, int index)
    {
        RawDiskImage image = Opening($"disk {disk.Path}", () =>
        {
            if (!disk.ReadOnly)
            {
                DiskLabels.RequireNone(disk.Path);
            }
            return opener.OpenDisk(index, new RawDiskOptions(disk.Path) { ReadOnly = disk.ReadOnly, RefuseOtherFormats = disk.Format is null });
        });
        return new VmProfile.Disk(disk.Path, disk.ReadOnly, image.CapacitySectors);
    }

    private void OpenNic(int index, VmProfile.Nic nic) => Opening($"network {nic.Target} {nic.Name}", () =>
    {
        opener.OpenNic(index, nic);
        return true;
    });

    private void OpenConsole(ConsoleKind kind, ConsoleSpec console, Func<IConsoleLink> stdio)
    {
        if (console.Target == ConsoleTarget.None)
        {
            return;
        }
        var options = new ConsoleOptions { EscapeKey = console.Target == ConsoleTarget.Stdio && !Console.IsInputRedirected };
        Opening($"console {console.Target} {console.Path}", () =>
        {
            opener.OpenConsole(kind, LinkOf(console, stdio), options);
            return true;
        });
    }

    private static IConsoleLink LinkOf(ConsoleSpec console, Func<IConsoleLink> stdio) => console.Target switch
    {
        ConsoleTarget.Stdio => stdio(),
        ConsoleTarget.Unix => new UnixConsoleLink(console.Path!),
        ConsoleTarget.File => new FileConsoleLink(console.Path!),
        _ => throw new InvalidOperationException($"Unknown console {console.Target}."),
    };

    private static T Opening<T>(string what, Func<T> open)
    {
        try
        {
            return open();
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException or SocketException or ArgumentException)
        {
            throw new CommandFailedException($"Cannot open the {what}: {refused.Message}", refused);
        }
    }

    /// <summary>An address in the locally administered range that stays the same for a VM's name.</summary>
    private static ImmutableArray<byte> MacOf(string vm, int index)
    {
        ulong hash = XxHash64.Hash(Encoding.UTF8.GetBytes(vm), (ulong)index);
        return [0x52, 0x54, 0x00, (byte)hash, (byte)(hash >> 8), (byte)(hash >> 16)];
    }
}
