using FtAkka.Nodes;

namespace FtAkka.VmmHost.VmFiles;

/// <summary>Reads the parts of a VM that have a one-word form and, in a file, a form with fields; paths in a file are relative to its folder.</summary>
internal static class SpecObject
{
    /// <summary>A disk.</summary>
    /// <exception cref="SpecException">It is none.</exception>
    public static DiskSpec Disk(WrittenValue value)
    {
        DiskSpec disk;
        if (!value.IsObject)
        {
            disk = SpecText.Disk(value.What, value.Text);
        }
        else
        {
            value.AllowFields("path", "format", "readonly", "shared", "backup-reads");
            disk = new DiskSpec(Required(value, "path").Text);
            disk = value.Field("format") is { } format ? disk with { Format = SpecText.Format(format.What, format.Text) } : disk;
            disk = value.Field("readonly") is { } readOnly ? disk with { ReadOnly = SpecText.Switch(readOnly.What, readOnly.Text) } : disk;
            disk = value.Field("shared") is { } shared ? disk with { Shared = SpecText.Switch(shared.What, shared.Text) } : disk;
            disk = value.Field("backup-reads") is { } reads ? disk with { BackupReads = SpecText.Switch(reads.What, reads.Text) } : disk;
            SpecText.CheckDisk(value.What, disk);
        }
        return disk with { Path = value.PathOf(disk.Path), NodePath = disk.Shared ? null : disk.Path };
    }

    /// <summary>A network card.</summary>
    /// <exception cref="SpecException">It is none.</exception>
    public static NicSpec Nic(WrittenValue value)
    {
        NicSpec nic;
        if (!value.IsObject)
        {
            nic = SpecText.Nic(value.What, value.Text);
        }
        else
        {
            value.AllowFields("connect", "mac", "mtu", "listen");
            WrittenValue connect = Required(value, "connect");
            nic = SpecText.Nic(connect.What, connect.Text);
            nic = value.Field("mac") is { } mac ? nic with { Mac = SpecText.Mac(mac.What, mac.Text) } : nic;
            nic = value.Field("mtu") is { } mtu ? nic with { Mtu = SpecText.Mtu(mtu.What, mtu.Text) } : nic;
            nic = value.Field("listen") is { } listen ? nic with { Listen = SpecText.Switch(listen.What, listen.Text) } : nic;
        }
        return nic.Target == NicTarget.Unix ? nic with { Name = value.PathOf(nic.Name!) } : nic;
    }

    /// <summary>A console.</summary>
    /// <exception cref="SpecException">It is none.</exception>
    public static ConsoleSpec Console(WrittenValue value)
    {
        ConsoleSpec console = SpecText.Console(value.What, value.Text);
        return console.Path is { } path ? console with { Path = value.PathOf(path) } : console;
    }

    private static WrittenValue Required(WrittenValue value, string key) => value.Field(key) ?? throw new SpecException($"{value.What}: {key} is missing.");
}
