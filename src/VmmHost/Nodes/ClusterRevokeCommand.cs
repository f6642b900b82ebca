using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using FtAkka.LogChannelActors.Remoting;
using FtAkka.Nodes.Arbiters;
using FtAkka.Nodes.HostFiles;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Nodes;

/// <summary><c>ftakka cluster revoke</c>: puts certificates on the list of those that are not good any more, which all nodes look at.</summary>
public sealed class ClusterRevokeCommand : ICommandModule
{
    /// <summary>Name of the list in the shared folder.</summary>
    internal const string ListName = "revoked-certificates";

    /// <inheritdoc/>
    public string Path => "cluster revoke";

    /// <inheritdoc/>
    public Command Create(Terminal terminal)
    {
        var shared = new Argument<string>("SHARED") { Description = "The cluster's shared folder, which has the list." };
        var certificates = new Argument<string[]>("CERTIFICATE") { Description = "A certificate's file (PFX without a password, PEM or DER), or its fingerprint.", Arity = ArgumentArity.OneOrMore };
        var command = new Command("revoke", "Revoke certificates of nodes: within seconds no node takes them any more, and connections with them end.") { shared, certificates };
        command.SetAction(parsed =>
        {
            foreach (string line in Revoke(parsed.GetValue(shared)!, parsed.GetValue(certificates)!, DateTimeOffset.UtcNow))
            {
                terminal.Output.WriteLine($"revoked: {line}");
            }
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>Adds certificates to the list. Those that it has are left.</summary>
    /// <returns>The lines that are new.</returns>
    /// <exception cref="CommandFailedException">The folder is no cluster's, a certificate cannot be read, or the list cannot be read or written.</exception>
    internal static IReadOnlyList<string> Revoke(string shared, IReadOnlyList<string> certificates, DateTimeOffset now)
    {
        if (!File.Exists(System.IO.Path.Combine(shared, ClusterIdentity.FileName)))
        {
            throw new CommandFailedException($"{shared} is not the shared folder of a cluster: there is no {ClusterIdentity.FileName} in it. Is it mounted?");
        }
        string list = System.IO.Path.Combine(shared, ListName);
        string[] lines = [.. certificates.Select(certificate => LineOf(certificate, now))];
        try
        {
            string text = File.Exists(list) ? Encoding.UTF8.GetString(RegularFile.Read(list, RevokedCertificates.BytesMax, followLinks: false)) : "";
            IReadOnlySet<string> known = RevokedCertificates.Parse(text);
            string[] fresh = [.. lines.Where(line => !known.Contains(line.Split(' ')[0])).Distinct(StringComparer.Ordinal)];
            if (fresh.Length > 0)
            {
                string longer = (text.Length == 0 || text.EndsWith('\n') ? text : text + "\n") + string.Join('\n', fresh) + "\n";
                DurableFile.Replace(list, Encoding.UTF8.GetBytes(longer));
            }
            return fresh;
        }
        catch (Exception unusable) when (unusable is IOException or UnauthorizedAccessException or FormatException)
        {
            throw new CommandFailedException($"The list {list} cannot be used: {unusable.Message}", unusable);
        }
    }

    private static string LineOf(string certificate, DateTimeOffset now)
    {
        string note = string.Create(CultureInfo.InvariantCulture, $"revoked on {now:u}");
        if (RevokedCertificates.IsFingerprint(certificate))
        {
            return $"{certificate.ToLowerInvariant()} {note}";
        }
        try
        {
            using X509Certificate2 read = X509Certificate2.GetCertContentType(certificate) == X509ContentType.Pkcs12
                ? X509CertificateLoader.LoadPkcs12FromFile(certificate, "") : X509CertificateLoader.LoadCertificateFromFile(certificate);
            // What a certificate says of itself is not to begin a line.
            string name = new([.. read.GetNameInfo(X509NameType.SimpleName, forIssuer: false).Where(letter => !char.IsControl(letter))]);
            return string.Create(CultureInfo.InvariantCulture, $"{RevokedCertificates.FingerprintOf(read)} {name}, good until {read.NotAfter.ToUniversalTime():u}, {note}");
        }
        catch (Exception unusable) when (unusable is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"{certificate} is neither a certificate's file nor a fingerprint of 64 hexadecimal digits: {unusable.Message}", unusable);
        }
    }
}
