using Akka.Configuration;

namespace FtAkka.VmmHost.Tests;

/// <summary>The akka.hocon that operators edit.</summary>
public sealed class AkkaConfigurationTests
{
    private static readonly string[] Lines = File.ReadAllLines(FindFile());

    [Fact]
    public void File_parses_and_is_safe_as_shipped()
    {
        Config config = ConfigurationFactory.ParseString(string.Join('\n', Lines));
        Assert.Equal("remote", config.GetString("akka.actor.provider"));
        Assert.Equal(["akka.remote.ftakka-tcp"], config.GetStringList("akka.remote.enabled-transports"));
        Assert.False(config.GetBoolean("akka.actor.serialization-settings.allow-unregistered-types", true));
        Assert.True(config.GetBoolean("akka.remote.ftakka-tcp.enable-ssl"));
        Assert.Equal("127.0.0.1", config.GetString("akka.remote.ftakka-tcp.hostname"));
    }

    [Fact]
    public void Every_key_has_a_comment_above_it()
    {
        var bare = new List<string>();
        bool explained = false;
        foreach (string line in Lines.Select(line => line.Trim()))
        {
            bool isComment = line.StartsWith('#');
            if (line.Contains('=', StringComparison.Ordinal) && !isComment && !explained)
            {
                bare.Add(line);
            }
            // Keys that belong together stand in one paragraph under one comment.
            explained = isComment || (explained && line.Length > 0 && !line.EndsWith('{') && line != "}");
        }
        Assert.Empty(bare);
    }

    private static string FindFile()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string file = Path.Combine(folder.FullName, "akka.hocon");
            if (File.Exists(file) && File.Exists(Path.Combine(folder.FullName, "FtAkka.sln")))
            {
                return file;
            }
        }
        throw new InvalidOperationException($"No akka.hocon above {AppContext.BaseDirectory}.");
    }
}
