using System.Globalization;
using FtAkka.GuestKit;
using FtAkka.VmmHost.Tests.Guests;

namespace FtAkka.VmmHost.Tests.Failover.RealProcesses;

/// <summary>
/// The Debian guest of a protected pair. It counts on its console and on its first disk, serves files and answers over the network, and does what
/// is typed on its console: a line of a verb and a number, done once for each number, begun with <c>DO verb number</c>.
/// </summary>
internal static class PairGuest
{
    /// <summary>Name of the VM.</summary>
    public const string Vm = "pair";

    /// <summary>Programs that the tests need on the host.</summary>
    public static readonly string[] HostPrograms = ["gcc", "ip", "curl", "e2fsck", "mkfs.ext4"];

    /// <summary>Port of the busybox web server, and of ftpair's own, which keeps connections.</summary>
    public const int FilesPort = 80, AnswersPort = 8080;

    /// <summary>Bytes of the file /data that the guest serves.</summary>
    public const int DataMegabytes = 4;

    /// <summary>Size of the disk with the file system.</summary>
    public const long FileSystemBytes = 96 << 20;

    /// <summary>fio's request sizes are not those of pages, its requests overlap none of the others under way, and each is verified after all were written.</summary>
    private const string Script = """
        stty -echo
        mkdir -p /tmp/www/cgi-bin
        printf '#!/bin/sh\necho\nsha256sum\n' > /tmp/www/cgi-bin/hash
        chmod 755 /tmp/www/cgi-bin/hash
        ftproof data MEGABYTES > /tmp/www/data
        httpd -p 80 -h /tmp/www
        ftpair serve 8080 &
        verify() {
            echo "FIO $1 begin"
            mount -t ext4 /dev/vdb /mnt || return 1
            fio --name=pair --directory=/mnt --size=FIOSIZE --rw=randrw --bsrange=512-32k --blockalign=512 --ioengine=libaio --iodepth=16 --direct=1 \
                --verify=crc32c --verify_fatal=1 --do_verify=1 --randseed=$1 --minimal > /tmp/fio.log 2>&1 || return 2
            rm /mnt/pair*
            umount /mnt
            e2fsck -f -n /dev/vdb > /tmp/fsck.log 2>&1 || return 3
            echo "FIO $1 clean"
        }
        ftpair count /dev/vda SLOTS 20 &
        echo PAIR-READY
        while read -r verb number; do
            [ -e "/tmp/done-$verb-$number" ] && continue
            touch "/tmp/done-$verb-$number"
            echo "DO $verb $number"
            case "$verb" in
                fio) (verify $number || { echo "FIO $number BAD $?"; cat /tmp/fio.log /tmp/fsck.log; }) & ;;
                burn) ftpair burn 4 & ;;
                read) (dd if=/dev/vdb of=/dev/null bs=64k iflag=direct 2> /dev/null; echo "READ $number done") & ;;
                end) break ;;
            esac
        done
        sleep 1
        killall ftpair
        sync
        echo PAIR-END
        """;

    /// <summary>Writes initramfs, file system and VM file into a folder; the ring image must be there as <c>ring.raw</c>.</summary>
    /// <param name="folder">Folder of the test.</param>
    /// <param name="variant">Initramfs it stands on; fio needs <see cref="GuestImage.Test"/>.</param>
    /// <param name="fioSize">Size of fio's file.</param>
    /// <param name="ownDisks">Where each host has its own copy of the file system, the first host's first; null: all share one.</param>
    /// <param name="backupReads">The backup reads from its own copy.</param>
    /// <returns>The VM file.</returns>
    public static string Write(string folder, string variant, string fioSize = "12m", IReadOnlyList<string>? ownDisks = null, bool backupReads = false)
    {
        string script = Script
            .Replace("MEGABYTES", DataMegabytes.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            .Replace("SLOTS", RingDisk.Slots.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            .Replace("FIOSIZE", fioSize, StringComparison.Ordinal);
        string initramfs = GuestImage.Write(folder, variant, script, ["ftproof", "ftpair"]);
        string disk = ownDisks is null ? FileSystem(folder) : ownDisks[0];
        foreach (string path in ownDisks ?? [disk])
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            using FileStream image = File.Create(path);
            image.SetLength(FileSystemBytes);
        }
        HostCommand.RunChecked("mkfs.ext4", ["-q", disk]);
        string file = Path.Combine(folder, $"{Vm}.hocon");
        File.WriteAllText(file, $$"""
            name = {{Vm}}
            memory = {{(variant == GuestImage.Test ? "384M" : "128M")}}
            kernel = "{{GuestImage.Kernel}}"
            initrd = "{{initramfs}}"
            disks = [ "{{Ring(folder)}}", {{(ownDisks is null ? $"\"{disk}\"" : $"{{ path = {Path.GetFileName(disk)}, shared = no, backup-reads = {(backupReads ? "yes" : "no")} }}")}} ]
            nics = [ "tap:{{PairNetwork.Tap}}" ]
            append = "{{GuestImage.KernelArguments.Replace("\"", "\\\"", StringComparison.Ordinal)}} ftakka.ip={{PairNetwork.GuestAddress}}/24"
            """);
        return file;
    }

    /// <summary>The image the counter writes.</summary>
    public static string Ring(string folder) => Path.Combine(folder, "ring.raw");

    /// <summary>The image with the ext4 file system that fio writes.</summary>
    public static string FileSystem(string folder) => Path.Combine(folder, "ext4.raw");
}
