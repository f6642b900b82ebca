using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Nodes;

/// <summary>What a peer's profile may name on this host: what is under an allowed folder wherever links lead, and nothing else.</summary>
public sealed class AllowedPathsTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("ftakka-allowed-").FullName;

    public AllowedPathsTests()
    {
        Directory.CreateDirectory(In("images", "web"));
        Directory.CreateDirectory(In("images-of-others"));
        File.WriteAllText(In("images", "web", "a.raw"), "");
        File.WriteAllText(In("images-of-others", "b.raw"), "");
        File.CreateSymbolicLink(In("images", "inside.raw"), In("images", "web", "a.raw"));
        File.CreateSymbolicLink(In("images", "outside.raw"), In("images-of-others", "b.raw"));
        File.CreateSymbolicLink(In("images", "nowhere.raw"), In("images-of-others", "new.raw"));
        Directory.CreateSymbolicLink(In("images", "others"), In("images-of-others"));
        Directory.CreateSymbolicLink(In("mounted"), In("images"));
    }

    private string In(params string[] names) => Path.Combine([folder, .. names]);

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("images/web/a.raw")]
    [InlineData("images/web/not-there.raw")]
    [InlineData("images/not-there/not-there.raw")]
    [InlineData("images/inside.raw")]
    [InlineData("images/web/../web/a.raw", true)]
    [InlineData("images/../images-of-others/b.raw", true)]
    [InlineData("images-of-others/b.raw", true)]
    [InlineData("images-of-others/not-there.raw", true)]
    [InlineData("images/outside.raw", true)]
    [InlineData("images/nowhere.raw", true)]
    [InlineData("images/others/b.raw", true)]
    [InlineData("images/others/not-there.raw", true)]
    public void Path_is_allowed_where_it_leads_into_the_folder(string path, bool refused = false)
    {
        foreach (string entry in new[] { "images", "images/", "mounted" })
        {
            string named = In(entry == "mounted" ? path.Replace("images/", "mounted/", StringComparison.Ordinal) : path);
            Exception? thrown = Record.Exception(() => new AllowedPaths([In(entry)]).Require(named));
            Assert.Equal(refused, thrown is IOException);
            Assert.Equal(refused ? $"{named} is not allowed: the setting ftakka.node.allowed-paths of this node names no folder of it" : null, thrown?.Message);
        }
    }

    [Fact]
    public void Entry_may_name_a_single_file_and_none_allows_nothing()
    {
        var one = new AllowedPaths([In("images-of-others", "b.raw")]);
        one.Require(In("images-of-others", "b.raw"));
        Assert.ThrowsAny<IOException>(() => one.Require(In("images-of-others", "b.raw.incomplete")));
        Assert.ThrowsAny<IOException>(() => new AllowedPaths([]).Require("/dev/null"));
    }
}
