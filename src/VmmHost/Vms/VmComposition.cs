using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.Cpu.Architecture;
using FtAkka.DeviceActors.Consoles;
using FtAkka.DeviceActors.Disks;
using FtAkka.DeviceActors.Nics;
using FtAkka.Machine;
using FtAkka.Machine.Digest;
using FtAkka.Machine.Events;
using FtAkka.Machine.Virtio.Block;
using FtAkka.Machine.Virtio.Net;
using FtAkka.Nodes;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.VmFiles;

namespace FtAkka.VmmHost.Vms;

/// <summary>
/// Turns a VM's description into its definition: reads the kernel, opens disks, networks and consoles. Until the definition is handed to a
/// <see cref="VmActor"/>, whose device actors close what they own, disposing the composition closes it.
/// </summary>
internal sealed class VmComposition : IDisposable
{
    private readonly List<IDisposable> opened = [];
    private readonly List<DeviceDefinition> devices = [];

    private VmComposition()
    {
    }

    /// <summary>Hardware, kernel and devices; without observers.</summary>
    public VmDefinition Definition { get; private set; } = null!;

    /// <summary>What the guest boots from, for people.</summary>
    public string BootFiles { get; private set; } = "";

    /// <summary>Opens everything.</summary>
    /// <param name="spec">The description; its kernel is given.</param>
    /// <param name="stdio">Makes the console on standard input and output.</param>
    /// <exception cref="CommandFailedException">Something is missing, refused or damaged; the message says what.</exception>
    public static VmComposition Open(VmSpec spec, Func<IConsoleLink> stdio)
    {
        CheckCpu(spec.CpuModel);
        CheckConsoles(spec.Console, spec.VirtioConsole);
        var composition = new VmComposition();
        try
        {
            DateTimeOffset now = DateTimeOffset.UtcNow;
            var config = new MachineConfig
            {
                MemoryBytes = spec.MemoryBytes,
                CommandLine = KernelCommandLine.Compose(spec.Append),
                BootUnixSeconds = now.ToUnixTimeSeconds(),
                CpuModelName = spec.CpuModel,
                VirtioConsole = spec.VirtioConsole.Target != ConsoleTarget.None,
                RngSeed = spec.RngSeed ?? BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(sizeof(ulong))),
                Disks = [.. spec.Disks.Select((disk, i) => composition.OpenDisk(disk, i))],
                Nics = [.. spec.Nics.Select((nic, i) => composition.OpenNic(spec.Name, nic, i))],
            };
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
                    BootSecondFraction = TimeSpan.FromTicks(now.Ticks % TimeSpan.TicksPerSecond),
                    // A million instructions per second are a thousand per millisecond.
                    InstructionsPerMillisecond = spec.Limits.PaceMips * 1000,
                },
                Devices = [.. composition.devices],
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
    public void HandOver() => opened.Clear();

    /// <summary>Closes what was opened and not handed over.</summary>
    public void Dispose()
    {
        foreach (IDisposable resource in opened)
        {
            resource.Dispose();
        }
        opened.Clear();
    }

    internal static void CheckCpu(string name)
    {
        if (CpuModel.WhyNotHere(name) is { } refusal)
        {
            throw new CommandFailedException(refusal);
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

    private BlockOptions OpenDisk(DiskSpec disk, int index)
    {
        RawDiskImage image = Opening($"disk {disk.Path}", () => RawDiskImage.Open(
            new RawDiskOptions(disk.Path) { ReadOnly = disk.ReadOnly, RefuseOtherFormats = disk.Format is null }));
        devices.Add(new DeviceDefinition(DeviceKind.Disk, index, DiskActor.Props(image).WithDispatcher(DiskActor.DispatcherId), new DiskDialect(index))
        {
            DrainRequest = new DiskProtocol.Drain(),
        });
        return new BlockOptions { CapacitySectors = image.CapacitySectors, ReadOnly = disk.ReadOnly, Identity = $"ftakka-disk{index}" };
    }

    private NetOptions OpenNic(string vm, NicSpec nic, int index)
    {
        IFrameLink link = Opening<IFrameLink>($"network {nic.Target} {nic.Name}", () => nic.Target switch
        {
            NicTarget.None => new NoLink(),
            NicTarget.Tap => TapLink.Open(nic.Name!),
            NicTarget.Unix => new UnixStreamLink(nic.Name!, nic.Listen ? UnixStreamRole.Server : UnixStreamRole.Client),
            _ => throw new InvalidOperationException($"Unknown network {nic.Target}."),
        });
        devices.Add(new DeviceDefinition(DeviceKind.Nic, index, NicActor.Props(link).WithDispatcher(NicActor.DispatcherId), new NicDialect(index)));
        return new NetOptions { Mac = nic.Mac ?? MacOf(vm, index), Mtu = nic.Mtu, Segmentation = true };
    }

    private void OpenConsole(ConsoleKind kind, ConsoleSpec console, Func<IConsoleLink> stdio)
    {
        if (console.Target == ConsoleTarget.None)
        {
            return;
        }
        IConsoleLink link = Opening($"console {console.Target} {console.Path}", () => console.Target switch
        {
            ConsoleTarget.Stdio => stdio(),
            ConsoleTarget.Unix => new UnixConsoleLink(console.Path!),
            ConsoleTarget.File => new FileConsoleLink(console.Path!),
            _ => throw new InvalidOperationException($"Unknown console {console.Target}."),
        });
        var options = new ConsoleOptions { EscapeKey = console.Target == ConsoleTarget.Stdio && !Console.IsInputRedirected };
        devices.Add(new DeviceDefinition(
            DeviceKind.Console, (int)kind, ConsoleActor.Props(link, options), new ConsoleDialect(kind))
        {
            DrainRequest = new ConsoleProtocol.Drain(),
        });
    }

    private T Opening<T>(string what, Func<T> open)
        where T : IDisposable
    {
        try
        {
            T resource = open();
            opened.Add(resource);
            return resource;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException or SocketException or ArgumentException)
        {
            throw new CommandFailedException($"Cannot open the {what}: {refused.Message}", refused);
        }
    }

    private static byte[] Read(string what, string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"Cannot read the {what} {path}: {refused.Message}", refused);
        }
    }

    /// <summary>An address in the locally administered range that stays the same for a VM's name.</summary>
    internal static ImmutableArray<byte> MacOf(string vm, int index)
    {
        ulong hash = XxHash64.Hash(Encoding.UTF8.GetBytes(vm), (ulong)index);
        return [0x52, 0x54, 0x00, (byte)hash, (byte)(hash >> 8), (byte)(hash >> 16)];
    }
}
