
namespace FtAkka.GuestKit.Tests;

public sealed class GuestTreeTests : IDisposable
{
    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("/bin/sh", "usr/bin/sh")]
    [InlineData("sbin/init", "usr/sbin/init")]
    [InlineData("lib64/ld.so", "usr/lib64/ld.so")]
    [InlineData("usr/bin/env", "usr/bin/env")]
    [InlineData("library/x", "library/x")]
    [InlineData("bin", "bin")]
    public void Place_is_the_one_of_a_merged_usr(string path, string place) => Assert.Equal(place, GuestTree.Place(path));

    [Fact]
    public void First_file_keeps_its_place_and_manuals_stay_away()
    {
        Write("bin/tool", "package");
        Write("usr/share/doc/tool/README", "manual");
        var tree = new GuestTree();
        Assert.True(tree.AddText("usr/bin/tool", "ours"));

        tree.AddPackage(folder.Path);

        Assert.IsType<GuestEntry.Content>(tree.Entries["usr/bin/tool"]);
        Assert.DoesNotContain(tree.Entries.Keys, k => k.StartsWith("usr/share/doc/", StringComparison.Ordinal));
    }

    [Fact]
    public void Libraries_are_followed_through_links_and_from_library_to_library()
    {
        Write("usr/bin/tool", ElfSample.Dynamic("/lib64/ld-linux-x86-64.so.2", "liba.so.1", "libgone.so.9"));
        Write("lib/x86_64-linux-gnu/liba.so.1.2", ElfSample.Dynamic(null, "libb.so.1"));
        File.CreateSymbolicLink(Path.Combine(folder.Path, "lib/x86_64-linux-gnu/liba.so.1"), "liba.so.1.2");
        Write("usr/lib/x86_64-linux-gnu/libb.so.1", ElfSample.Dynamic(null));
        Write("usr/lib/x86_64-linux-gnu/libunused.so.1", ElfSample.Dynamic(null));
        Write("lib64/ld-linux-x86-64.so.2", ElfSample.Dynamic(null));
        var tree = new GuestTree();
        tree.AddHostFile("usr/bin/tool", Path.Combine(folder.Path, "usr/bin/tool"));

        IReadOnlyList<string> missing = new SharedLibraries([folder.Path]).Complete(tree);

        Assert.Equal(["libgone.so.9"], missing);
        Assert.Equal(
            [
                "usr/bin/tool", "usr/lib/x86_64-linux-gnu/liba.so.1", "usr/lib/x86_64-linux-gnu/liba.so.1.2",
                "usr/lib/x86_64-linux-gnu/libb.so.1", "usr/lib64/ld-linux-x86-64.so.2",
            ],
            tree.Entries.Keys);
    }

    private void Write(string path, string text) => Write(path, System.Text.Encoding.UTF8.GetBytes(text));

    private void Write(string path, byte[] bytes)
    {
        string file = Path.Combine(folder.Path, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllBytes(file, bytes);
    }
}
