using System.CommandLine;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using FtAkka.LogChannelActors.Remoting;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Nodes;

/// <summary><c>ftakka cluster renew</c>: new certificates for the nodes of a cluster, under the authority that <c>cluster init</c> has made.</summary>
public sealed class ClusterRenewCommand : ICommandModule
{
    private const string Extension = ".pfx";

    /// <inheritdoc/>
    public string Path => "cluster renew";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var folder = new Argument<string>("DIR") { Description = "Folder of the cluster's files, with the authority's key." };
        var nodes = new Option<string[]>("--node") { Description = "A node. Given for each; without it every node whose certificate is in the folder.", HelpName = "NODE" };
        var command = new Command("renew", "Make new certificates for nodes, with the names of their old ones. A node takes its own as soon as the file is in its place.") { folder, nodes };
        command.SetAction(parsed =>
        {
            foreach (NodeCertificate renewed in Renew(parsed.GetValue(folder)!, parsed.GetValue(nodes) ?? [], DateTimeOffset.UtcNow))
            {
                terminal.Output.WriteLine(FormattableString.Invariant($"{renewed.Path}: the node {renewed.Node}, until {renewed.Until:u}, fingerprint {renewed.Fingerprint}"));
            }
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>Renews the certificates of nodes, of all if none is named.</summary>
    /// <exception cref="CommandFailedException">The authority's key or a certificate is not in the folder, or cannot be used.</exception>
    internal static IReadOnlyList<NodeCertificate> Renew(string folder, IReadOnlyList<string> nodes, DateTimeOffset now)
    {
        string file = ClusterFiles.AuthorityOf(folder);
        try
        {
            using X509Certificate2 authority = X509Certificate2.CreateFromPemFile(file, ClusterFiles.AuthorityKeyOf(folder));
            string[] paths = nodes.Count > 0
                ? [.. nodes.Select(node => System.IO.Path.Combine(folder, node + Extension))]
                : [.. Directory.GetFiles(folder, "*" + Extension).Order(StringComparer.Ordinal)];
            if (paths.Length == 0)
            {
                throw new CommandFailedException($"{folder} has no certificate of a node (NODE{Extension}).");
            }
            var renewed = new List<NodeCertificate>();
            foreach (string path in paths)
            {
                file = path;
                Certificates.RenewPfx(authority, path, now);
                renewed.Add(NodeCertificate.Read(path, "", ""));
            }
            return renewed;
        }
        catch (Exception unusable) when (unusable is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"{file} cannot be used: {unusable.Message} Certificates are renewed in the folder that 'cluster init' has made.", unusable);
        }
    }
}
