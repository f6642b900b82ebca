using System.Security.Cryptography;
using FtAkka.LogChannelActors.Remoting;
using FtAkka.Nodes.HostFiles;

namespace FtAkka.VmmHost.Nodes;

/// <summary>A node's certificate as its file has it: the transport takes a renewed one while the node runs, and so does whoever warns of its end.</summary>
internal sealed class CertificateFile
{
    private const int BytesMax = 1 << 20;

    private readonly string path;
    private readonly string password;
    private readonly string keyPath;
    private readonly Lock sync = new();
    private NodeCertificate current;
    private DateTime written;

    /// <summary>Reads it.</summary>
    /// <param name="path">PFX, or PEM if <paramref name="keyPath"/> is given.</param>
    /// <param name="password">Password of the PFX or of the PEM key; empty for none.</param>
    /// <param name="keyPath">PEM file with the private key; empty with a PFX.</param>
    /// <exception cref="CryptographicException">The file holds no certificate with a private key, or has another password.</exception>
    /// <exception cref="IOException">It cannot be read, or is no regular file.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission.</exception>
    public CertificateFile(string path, string password, string keyPath)
    {
        (this.path, this.password, this.keyPath) = (path, password, keyPath);
        written = File.GetLastWriteTimeUtc(path);
        current = Read();
    }

    /// <summary>Why no peer takes it; null if it has not expired.</summary>
    public string? Expired(DateTimeOffset now)
    {
        lock (sync)
        {
            return current.Expired(now);
        }
    }

    /// <summary>What an operator should do about it now; null: nothing. Looks whether it was renewed; of a file that is of no use the transport tells.</summary>
    public string? Warning(DateTimeOffset now)
    {
        lock (sync)
        {
            try
            {
                DateTime latest = File.GetLastWriteTimeUtc(path);
                if (latest != written)
                {
                    written = latest;
                    current = Read();
                }
            }
            catch (Exception unusable) when (unusable is CryptographicException or IOException or UnauthorizedAccessException)
            {
                // The one from before is in use.
            }
            return current.Warning(now);
        }
    }

    private NodeCertificate Read()
    {
        _ = RegularFile.Read(path, BytesMax);   // What has no end, or waits for a writer, is not given to the platform.
        return NodeCertificate.Read(path, password, keyPath);
    }
}
