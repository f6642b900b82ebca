using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using FtAkka.LogChannelActors.Remoting;
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
        var command = new Command("init", "Make a cluster's certificate authority, and a certificate and a configuration for each node.") { folder, nodes };
        command.SetAction(parsed =>
        {
            ClusterFiles files = ClusterFiles.Create(parsed.GetValue(folder)!, [.. parsed.GetValue(nodes)!.Select(ClusterNode.Parse)]);
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
    private static readonly TimeSpan Validity = TimeSpan.FromDays(3650);

    private ClusterFiles(string folder, IReadOnlyList<ClusterNode> nodes) => (Folder, Nodes) = (folder, nodes);

    /// <summary>Where they are.</summary>
    public string Folder { get; }

    /// <summary>The nodes, with their ports.</summary>
    public IReadOnlyList<ClusterNode> Nodes { get; }

    /// <summary>The configuration of a node.</summary>
    public string ConfigOf(ClusterNode node) => Path.Combine(Folder, $"{node.Name}.hocon");

    /// <summary>Makes them.</summary>
    /// <exception cref="CommandFailedException">The folder has files already, or cannot be written.</exception>
    public static ClusterFiles Create(string folder, IReadOnlyList<ClusterNode> nodes, string extra = "")
    {
        folder = Path.GetFullPath(folder);
        if (nodes.Select(node => node.Name).Distinct(StringComparer.Ordinal).Count() != nodes.Count)
        {
            throw new CommandFailedException("Two nodes have the same name.");
        }
        if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())
        {
            throw new CommandFailedException($"{folder} is not empty. A cluster's keys are never overwritten: name another folder.");
        }
        nodes = [.. nodes.Select((node, i) => node.Port == 0 ? node with { Port = FirstPort + i } : node)];
        var files = new ClusterFiles(folder, nodes);
        try
        {
            Directory.CreateDirectory(folder);
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
            Directory.CreateDirectory(Path.Combine(folder, "shared"));
            using X509Certificate2 authority = Certificates.CreateAuthority("FtAkka cluster", DateTimeOffset.UtcNow, Validity);
            Certificates.WritePem(authority, Path.Combine(folder, "ca.pem"), Path.Combine(folder, "ca-key.pem"));
            foreach (ClusterNode node in nodes)
            {
                using X509Certificate2 certificate = Certificates.IssueNode(authority, node.Name, [node.Host], DateTimeOffset.UtcNow, Validity);
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

    private string Config(ClusterNode node)
    {
        string peers = string.Join("\n", Nodes.Where(other => other != node).Select(other =>
            string.Create(CultureInfo.InvariantCulture, $"    {other.Name} = \"{other.Host}:{other.Port}\"")));
        return string.Create(CultureInfo.InvariantCulture, $$"""
            # Node {{node.Name}}. Paths are relative to this file; keys of akka.hocon may be set here too.
            ftakka.node {
              name = {{node.Name}}
              # Folder that all nodes mount: the arbiter's records.
              shared-directory = "shared"
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
