using System.Security.Cryptography;
using FtAkka.GuestKit;

namespace FtAkka.VmmHost.Tests.Guests;

/// <summary>File systems on virtio-blk, seen from the guest and from the host.</summary>
[Collection(GuestTestCollection.Name)]
public sealed class BlockTests : IDisposable
{
    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    public void Dispose() => folder.Dispose();

    private string NewDisk(long bytes)
    {
        string path = Path.Combine(folder.Path, "disk.img");
        using FileStream file = File.Create(path);
        file.SetLength(bytes);
        return path;
    }

    /// <summary>The host finds the file system clean and a file in it as the guest wrote it.</summary>
    private void CheckOnHost(string disk, string name, string hash)
    {
        HostCommand check = HostCommand.Run("e2fsck", ["-f", "-n", disk]);
        Assert.True(check.ExitCode == 0, check.Output + check.Error);
        string copy = Path.Combine(folder.Path, "copy");
        HostCommand.RunChecked("debugfs", ["-R", $"dump {name} {copy}", disk]);
        Assert.Equal(hash, Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(copy))));
    }

    [GuestFact("gcc", "mkfs.ext4", "e2fsck", "debugfs")]
    public void Files_written_in_the_guest_are_there_on_the_host()
    {
        string disk = NewDisk(64 << 20);
        HostCommand.RunChecked("mkfs.ext4", ["-q", disk]);
        string image = GuestImage.Write(folder.Path, GuestImage.Plain, """
            set -e
            mount -t ext4 /dev/vda /mnt
            ftproof data 8 > /mnt/data
            for i in $(seq 50); do mkdir -p /mnt/d$((i % 7)) && echo $i > /mnt/d$((i % 7))/f$i; done
            cp /mnt/data /mnt/d1/again
            rm /mnt/d2/*
            umount /mnt
            echo 3 > /proc/sys/vm/drop_caches
            mount -t ext4 /dev/vda /mnt
            sha256sum < /mnt/data
            sha256sum < /mnt/d1/again
            cat /mnt/d3/f10
            umount /mnt
            """);

        string[] output = GuestProcess.Run(image, "256M", "--disk", disk);

        Assert.Equal(3, output.Length);
        Assert.Equal(output[0], output[1]);
        Assert.Equal("10", output[2]);
        CheckOnHost(disk, "/data", output[0].Split(' ')[0]);
    }

    [GuestFact("e2fsck", "debugfs", Variant = GuestImage.Test)]
    public void Fio_verifies_random_mixed_requests_on_ext4()
    {
        string disk = NewDisk(256 << 20);
        string image = GuestImage.Write(folder.Path, GuestImage.Test, """
            set -e
            mkfs.ext4 -q /dev/vda
            mount -t ext4 /dev/vda /mnt
            verify='--directory=/mnt --size=64m --rw=randrw --verify=crc32c --verify_fatal=1 --do_verify=1 --minimal'
            fio --name=direct $verify --bsrange=512-64k --blockalign=512 --ioengine=libaio --iodepth=32 --direct=1 --randseed=7 > /tmp/direct
            echo direct ok
            fio --name=buffered $verify --bs=4k --ioengine=psync --fsync=32 --randseed=8 > /tmp/buffered
            echo buffered ok
            rm /mnt/direct* /mnt/buffered*
            fstrim /mnt
            cp -r /usr/bin /mnt/bin
            (cd /usr/bin && find . -type f | sort | xargs sha256sum) > /tmp/a
            umount /mnt
            e2fsck -f -n /dev/vda > /dev/null 2>&1
            echo clean
            mount -t ext4 /dev/vda /mnt
            (cd /mnt/bin && find . -type f | sort | xargs sha256sum) > /tmp/b
            cmp /tmp/a /tmp/b
            sha256sum < /mnt/bin/fio
            umount /mnt
            """, withProof: false);

        string[] output = GuestProcess.Run(image, "1G", "--disk", disk);

        Assert.Equal(["direct ok", "buffered ok", "clean"], output[..3]);
        CheckOnHost(disk, "/bin/fio", output[3].Split(' ')[0]);
    }
}
