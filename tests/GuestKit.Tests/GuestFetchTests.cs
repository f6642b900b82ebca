namespace FtAkka.GuestKit.Tests;

public sealed class GuestFetchTests : IDisposable
{
    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Host_without_apt_is_told_of_its_own_files()
    {
        var failure = Assert.Throws<GuestKitException>(() => new DebianPackages(folder.Path, null, _ => { }, _ => false));

        Assert.Contains("apt-get", failure.Message, StringComparison.Ordinal);
        Assert.Contains("--kernel", failure.Message, StringComparison.Ordinal);
        Assert.Contains("--initrd", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Second_fetch_in_the_same_folder_is_refused_while_one_runs()
    {
        using FileStream running = new(Path.Combine(folder.Path, ".lock"), FileMode.Create, FileAccess.ReadWrite, FileShare.None);

        var failure = Assert.Throws<GuestKitException>(
            () => new GuestFetch(new GuestFetchOptions { Folder = new GuestFolder(folder.Path) }, _ => { }).Run());

        Assert.Contains("another fetch", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a_1.2-3_amd64.deb", "a", "1.2-3")]
    [InlineData("/x/busybox-static_1%3a1.35.0-4+deb12u1_amd64.deb", "busybox-static", "1:1.35.0-4+deb12u1")]
    public void Package_file_names_tell_name_and_version(string file, string name, string version)
    {
        Assert.Equal(name, DebianPackages.NameOf(file));
        Assert.Equal(version, DebianPackages.VersionOf(file));
    }
}
