using FtAkka.Nodes;
using FtAkka.VmmHost.VmFiles;

namespace FtAkka.VmmHost.Tests.VmFiles;

public sealed class VmSpecTests
{
    private const string File = "/vms/web.hocon";

    [Fact]
    public void Whole_file_is_understood()
    {
        VmSpec spec = VmSpecFile.Parse("""
            name = shop
            memory = 1G
            kernel = vmlinuz          # beside this file
            initrd = "/boot/initrd"
            append = "quiet ro"
            disks = [ "root.img", { path = "data.img", format = raw, readonly = on } ]
            nics = [ "tap:tap0,mtu=9000", { connect = "unix:net.sock", mac = "52:54:00:00:00:01", listen = on } ]
            console = "unix:console.sock"
            virtio-console = "file:second.log"
            cpu-model = ftvm64-v1
            rng-seed = 0x10
            limits { pace = 500, max-icount = 10G }
            digest-every = 50M
            stats = "out/stats.json"
            """, File);
        Assert.Equal(("shop", 1UL << 30, "/vms/vmlinuz", "/boot/initrd"), (spec.Name, spec.MemoryBytes, spec.Kernel, spec.Initrd));
        Assert.Equal("quiet ro", spec.Append);
        Assert.Equal([new DiskSpec("/vms/root.img"), new DiskSpec("/vms/data.img", DiskFormat.Raw, ReadOnly: true)], spec.Disks.ToArray());
        Assert.Equal(new NicSpec(NicTarget.Tap, "tap0") { Mtu = 9000 }, spec.Nics[0]);
        Assert.Equal((NicTarget.Unix, "/vms/net.sock", true), (spec.Nics[1].Target, spec.Nics[1].Name, spec.Nics[1].Listen));
        Assert.Equal([0x52, 0x54, 0, 0, 0, 1], spec.Nics[1].Mac!.Value.ToArray());
        Assert.Equal(new ConsoleSpec(ConsoleTarget.Unix, "/vms/console.sock"), spec.Console);
        Assert.Equal(new ConsoleSpec(ConsoleTarget.File, "/vms/second.log"), spec.VirtioConsole);
        Assert.Equal(("ftvm64-v1", 16UL), (spec.CpuModel, spec.RngSeed));
        Assert.Equal(new VmLimits(500, 10_000_000_000), spec.Limits);
        Assert.Equal((50_000_000UL, "/vms/out/stats.json"), (spec.DigestEvery, spec.Stats));
    }

    [Fact]
    public void Path_of_a_disk_that_is_not_shared_is_kept_as_written_for_each_node()
    {
        VmSpec spec = VmSpecFile.Parse("disks = [ \"own.img,shared=no\", { path = /own.img, shared = no }, { path = x.img, shared = yes } ]", File);
        Assert.Equal([("/vms/own.img", false, "own.img"), ("/own.img", false, "/own.img"), ("/vms/x.img", true, null)],
            spec.Disks.Select(disk => (disk.Path, disk.Shared, disk.NodePath)));
    }

    [Fact]
    public void What_is_left_out_has_its_default_and_the_name_comes_from_the_file()
    {
        VmSpec spec = VmSpecFile.Parse("kernel = /k", File);
        Assert.Equal(new VmSpec { Name = "web", Kernel = "/k" } with { Disks = spec.Disks, Nics = spec.Nics }, spec);
        Assert.Empty(spec.Disks);
        Assert.Empty(spec.Nics);
    }

    [Theory]
    [InlineData("", "/vms/web.hocon: there is nothing in it")]
    [InlineData("memry = 1G", "/vms/web.hocon: memry: unknown key; allowed are name, memory")]
    [InlineData("memory = lots", "/vms/web.hocon: memory: 'lots' is no size")]
    [InlineData("memory = 99999999999T", "is no size")]
    [InlineData("memory { a = 1 }", "memory: a single value is expected")]
    [InlineData("disks = disk.img", "disks: a list is expected")]
    [InlineData("disks = [ { format = raw } ]", "disks[0]: path is missing")]
    [InlineData("disks = [ { path = x, fmt = raw } ]", "disks[0].fmt: unknown key; allowed are path, format, readonly")]
    [InlineData("disks = [ a, { path = x, format = qcow2 } ]", "disks[1].format: 'qcow2' is not supported; allowed is raw")]
    [InlineData("disks = [ \"a,rw\" ]", "disks[0]: unknown option 'rw'; allowed are format=raw, readonly, shared=yes|no and backup-reads=yes|no")]
    [InlineData("disks = [ \"a,backup-reads=yes\" ]", "disks[0]: backup-reads needs shared = no")]
    [InlineData("disks = [ { path = a, backup-reads = yes } ]", "disks[0]: backup-reads needs shared = no")]
    [InlineData("disks = [ \"a,shared=maybe\" ]", "disks[0]: shared: 'maybe' is neither on nor off")]
    [InlineData("nics = [ \"bridge:br0\" ]", "nics[0]: 'bridge:br0' is no network")]
    [InlineData("nics = [ \"tap:\" ]", "is no network")]
    [InlineData("nics = [ { connect = none, mac = \"53:54:00:00:00:01\" } ]", "nics[0].mac: '53:54:00:00:00:01' is no unicast MAC")]
    [InlineData("nics = [ { connect = none, mtu = 100 } ]", "nics[0].mtu: 100 is out of range; allowed are 1280 to 65535")]
    [InlineData("console = \"tcp:1\"", "console: 'tcp:1' is no console")]
    [InlineData("rng-seed = -1", "rng-seed: '-1' is no number")]
    [InlineData("virtio-console = pty", "virtio-console: 'pty' is no console; write stdio, unix:PATH, file:PATH or none")]
    [InlineData("limits = 5", "limits: an object is expected, such as { pace = 500, max-icount = 10G }")]
    [InlineData("limits { speed = 5 }", "limits.speed: unknown key; allowed are pace, max-icount")]
    [InlineData("limits { pace = 0 }", "limits.pace: 0 is out of range; allowed are 1 to 1000000 million instructions per second")]
    [InlineData("limits { max-icount = 0 }", "limits.max-icount: '0' is no number of instructions")]
    [InlineData("digest-every = often", "digest-every: 'often' is no number of instructions; write 1000000, 50M or 2G")]
    [InlineData("stats { a = 1 }", "stats: a single value is expected")]
    public void Mistakes_are_told_with_file_key_and_what_is_allowed(string text, string message)
    {
        SpecException wrong = Assert.Throws<SpecException>(() => VmSpecFile.Parse(text, File));
        Assert.Contains(message, wrong.Message, StringComparison.Ordinal);
        Assert.StartsWith(File, wrong.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("4096", 4096UL)]
    [InlineData("256M", 256UL << 20)]
    [InlineData("256MiB", 256UL << 20)]
    [InlineData("2g", 2UL << 30)]
    [InlineData("16K", 16UL << 10)]
    public void Sizes(string text, ulong bytes) => Assert.Equal(bytes, SpecText.Bytes("size", text));

    [Theory]
    [InlineData("1", 1UL)]
    [InlineData("1,000_000", 1_000_000UL)]
    [InlineData("50M", 50_000_000UL)]
    [InlineData("2g", 2_000_000_000UL)]
    [InlineData("3T", 3_000_000_000_000UL)]
    public void Counts(string text, ulong count) => Assert.Equal(count, SpecText.Count("count", text));

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("M")]
    [InlineData("-1")]
    [InlineData("1.5G")]
    [InlineData("99999999T")]
    public void What_is_no_count_is_refused(string text) => Assert.Throws<SpecException>(() => SpecText.Count("count", text));

    [Theory]
    [InlineData("none", NicTarget.None, null)]
    [InlineData("tap:tap0", NicTarget.Tap, "tap0")]
    [InlineData("unix:/run/passt.socket", NicTarget.Unix, "/run/passt.socket")]
    public void Networks(string text, NicTarget target, string? name) => Assert.Equal(new NicSpec(target, name), SpecText.Nic("--net", text));

    [Theory]
    [InlineData("stdio", ConsoleTarget.Stdio, null)]
    [InlineData("none", ConsoleTarget.None, null)]
    [InlineData("unix:/a:b", ConsoleTarget.Unix, "/a:b")]
    [InlineData("file:log", ConsoleTarget.File, "log")]
    public void Consoles(string text, ConsoleTarget target, string? path) =>
        Assert.Equal(new ConsoleSpec(target, path), SpecText.Console("--console", text));
}
