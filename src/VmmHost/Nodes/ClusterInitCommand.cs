using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using FtAkka.LogChannelActors.Remoting;
using FtAkka.Nodes.Arbiters;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Nodes;

/// <summary><c>ftakka cluster init</c>: certificates and a configuration for each node of a new cluster.</summary>
public sealed class ClusterInitCommand : ICommandModule
{
    /// <inheritdoc/>
    public string Path => "cluster init";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var folder = new Argument<string>("DIR") { Description = "New folder for the cluster's files." };
        var nodes = new Option<string[]>("--node")
        {
            Description = "A node, and where others reach it. Given for each node; without address 127.0.0.1 and ports from 4053 on.",
            HelpName = "NAME[=HOST:PORT]",
            Required = true,
        };
        var shared = new Option<string?>("--shared")
        {
            Description = "The folder that all nodes mount, as they name it. It must be there, and gets the cluster's identity. Without it: DIR/shared, which is made.",
            HelpName = "PATH",
        };
        var command = new Command("init", "Make a cluster's identity and certificate authority, and a certificate and a configuration for each node.") { folder, nodes, shared };
        command.SetAction(parsed =>
        {
            ClusterFiles files = ClusterFiles.Create(parsed.GetValue(folder)!, [.. parsed.GetValue(nodes)!.Select(ClusterNode.Parse)], shared: parsed.GetValue(shared));
            foreach (ClusterNode node in files.Nodes)
            {
                terminal.Output.WriteLine($"./ftakka host --name {node.Name} --config {files.ConfigOf(node)}");
            }
            return ExitCode.Ok;
        });
        return command;
    }
}

/// <summary>A node of a cluster to be.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Host">Address by which others reach it.</param>
/// <param name="Port">Port; 0: to be chosen.</param>
internal sealed record ClusterNode(string Name, string Host, int Port)
{
    /// <summary>Reads NAME or NAME=HOST:PORT.</summary>
    /// <exception cref="CommandFailedException">It is neither.</exception>
    public static ClusterNode Parse(string text)
    {
        string[] parts = text.Split('=', 2);
        if (parts[0].Length == 0 || !parts[0].All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_'))
        {
            throw new CommandFailedException($"'{text}': a node's name has letters, digits, '-' and '_'.");
        }
        if (parts.Length == 1)
        {
            return new ClusterNode(parts[0], "127.0.0.1", 0);
        }
        int colon = parts[1].LastIndexOf(':');
        return colon > 0 && ushort.TryParse(parts[1].AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port) && port > 0
            ? new ClusterNode(parts[0], parts[1][..colon], port)
            : throw new CommandFailedException($"'{text}': an address is HOST:PORT.");
    }
}

/// <summary>The files of a cluster.</summary>
internal sealed class ClusterFiles
{
    private const int FirstPort = 4053;

    /// <summary>Of the authority, whose key stays with whoever made the cluster; the nodes' certificates are renewed under it.</summary>
    private static readonly TimeSpan AuthorityValidity = TimeSpan.FromDays(3650);

    private readonly string identity = ClusterIdentity.New();
    private readonly string sharedInFile;

    private ClusterFiles(string folder, IReadOnlyList<ClusterNode> nodes, string? shared) =>
        (Folder, Nodes, Shared, sharedInFile) = (folder, nodes, shared ?? Path.Combine(folder, "shared"), shared ?? "shared");

    /// <summary>Where they are.</summary>
    public string Folder { get; }

    /// <summary>The nodes, with their ports.</summary>
    public IReadOnlyList<ClusterNode> Nodes { get; }

    /// <summary>The folder that the nodes share.</summary>
    public string Shared { get; }

    /// <summary>PEM of the authority's certificate, in the folder of a cluster.</summary>
    public static string AuthorityOf(string folder) => Path.Combine(folder, "ca.pem");

    /// <summary>PEM of the authority's private key.</summary>
    public static string AuthorityKeyOf(string folder) => Path.Combine(folder, "ca-key.pem");

    /// <summary>The configuration of a node.</summary>
    public string ConfigOf(ClusterNode node) => Path.Combine(Folder, $"{node.Name}.hocon");

    /// <summary>Makes them.</summary>
    /// <param name="folder">Where.</param>
    /// <param name="nodes">The nodes.</param>
    /// <param name="extra">More lines for each node's configuration.</param>
    /// <param name="shared">Folder that the nodes share; null: one of that name beside the files, which is made.</param>
    /// <exception cref="CommandFailedException">The folder has files already, or cannot be written; the shared one is missing, or another cluster's.</exception>
    public static ClusterFiles Create(string folder, IReadOnlyList<ClusterNode> nodes, string extra = "", string? shared = null)
    {
        folder = Path.GetFullPath(folder);
        shared = shared is null ? null : Path.GetFullPath(shared);
        RequireFree(shared);
        if (nodes.Select(node => node.Name).Distinct(StringComparer.Ordinal).Count() != nodes.Count)
        {
            throw new CommandFailedException("Two nodes have the same name.");
        }
        if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())
        {
            throw new CommandFailedException($"{folder} is not empty. A cluster's keys are never overwritten: name another folder.");
        }
        nodes = [.. nodes.Select((node, i) => node.Port == 0 ? node with { Port = FirstPort + i } : node)];
        var files = new ClusterFiles(folder, nodes, shared);
        try
        {
            Directory.CreateDirectory(folder);
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
            Directory.CreateDirectory(files.Shared);
            ClusterIdentity.Write(files.Shared, files.identity);
            using X509Certificate2 authority = Certificates.CreateAuthority("FtAkka cluster", DateTimeOffset.UtcNow, AuthorityValidity);
            Certificates.WritePem(authority, AuthorityOf(folder), AuthorityKeyOf(folder));
            foreach (ClusterNode node in nodes)
            {
                using X509Certificate2 certificate = Certificates.IssueNode(authority, node.Name, [node.Host], DateTimeOffset.UtcNow, Certificates.NodeValidity);
                Certificates.WritePfx(certificate, authority, Path.Combine(folder, $"{node.Name}.pfx"), "");
                File.WriteAllText(files.ConfigOf(node), files.Config(node) + extra);
            }
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"Cannot write the cluster's files to {folder}: {refused.Message}", refused);
        }
        return files;
    }

    /// <summary>The identity of a cluster that uses a folder is never overwritten: its nodes would not start any more, or two clusters share one arbiter.</summary>
    private static void RequireFree(string? shared)
    {
        if (shared is null)
        {
            return;
        }
        if (!Directory.Exists(shared))
        {
            throw new CommandFailedException($"The shared folder {shared} is not there: mount it, or make it.");
        }
        string identity = Path.Combine(shared, ClusterIdentity.FileName);
        if (Path.Exists(identity))
        {
            throw new CommandFailedException($"{shared} is the shared folder of a cluster already: {identity} is there. Name another folder.");
        }
    }

    private string Config(ClusterNode node)
    {
        string peers = string.Join("\n", Nodes.Where(other => other != node).Select(other =>
            string.Create(CultureInfo.InvariantCulture, $"    {other.Name} = \"{other.Host}:{other.Port}\"")));
        return string.Create(CultureInfo.InvariantCulture, $$"""
            # Node {{node.Name}}. Paths are relative to this file; keys of akka.hocon may be set here too.
            ftakka.node {
              name = {{node.Name}}
              # Identity of the cluster; the file {{ClusterIdentity.FileName}} in the shared folder holds the same.
              cluster = "{{identity}}"
              # Folder that all nodes mount: the arbiter's records.
              shared-directory = "{{sharedInFile}}"
              # Wire addresses of the other nodes.
              peers {
            {{peers}}
              }
            }
            akka.remote.ftakka-tcp {
              hostname = "{{node.Host}}"
              port = {{node.Port}}
              ssl.certificate { path = "{{node.Name}}.pfx", password = "" }
            }

            """);
    }
}
