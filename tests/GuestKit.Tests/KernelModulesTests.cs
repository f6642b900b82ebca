
namespace FtAkka.GuestKit.Tests;

public sealed class KernelModulesTests : IDisposable
{
    private readonly TemporaryFolder package = new(Path.GetTempPath());
    private readonly string folder;

    public KernelModulesTests()
    {
        folder = package.Sub("lib/modules/6.1.0-test");
        AddModule("kernel/drivers/virtio/virtio_ring.ko", "");
        AddModule("kernel/drivers/virtio/virtio.ko", "virtio_ring");
        AddModule("kernel/drivers/virtio/virtio_mmio.ko", "virtio,virtio_ring");
        AddModule("kernel/drivers/char/virtio-rng.ko", "virtio");
        File.WriteAllText(Path.Combine(folder, "modules.builtin"), "kernel/fs/ext4/ext4.ko\n");
    }

    public void Dispose() => package.Dispose();

    [Fact]
    public void Closure_lists_each_module_once_and_after_what_it_needs()
    {
        IReadOnlyList<string> paths = new KernelModules(package.Path).Closure(["virtio_mmio", "virtio_rng"]);

        Assert.Equal(
            [
                "kernel/drivers/virtio/virtio_ring.ko", "kernel/drivers/virtio/virtio.ko", "kernel/drivers/virtio/virtio_mmio.ko",
                "kernel/drivers/char/virtio-rng.ko",
            ],
            paths);
    }

    [Fact]
    public void Dependency_file_names_the_nearest_first_as_modprobe_reads_it_backwards()
    {
        var modules = new KernelModules(package.Path);

        Assert.Equal(
            "kernel/drivers/virtio/virtio_ring.ko:\n"
            + "kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko\n"
            + "kernel/drivers/virtio/virtio_mmio.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko\n",
            modules.DependencyFile(modules.Closure(["virtio_mmio"])));
    }

    [Fact]
    public void What_is_compiled_in_is_not_loaded()
    {
        var modules = new KernelModules(package.Path);

        Assert.True(modules.IsBuiltIn("ext4"));
        Assert.False(modules.IsBuiltIn("virtio"));
        Assert.Empty(modules.Closure(["ext4"]));
        Assert.Equal("6.1.0-test", modules.Release);
    }

    [Fact]
    public void Missing_module_is_named_with_the_kernel()
    {
        var failure = Assert.Throws<GuestKitException>(() => new KernelModules(package.Path).Closure(["nonesuch"]));

        Assert.Contains("nonesuch", failure.Message, StringComparison.Ordinal);
        Assert.Contains("6.1.0-test", failure.Message, StringComparison.Ordinal);
    }

    private void AddModule(string path, string depends)
    {
        string file = Path.Combine(folder, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllBytes(file, ElfSample.Module(depends));
    }
}
