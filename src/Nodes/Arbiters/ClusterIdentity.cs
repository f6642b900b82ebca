using System.Security.Cryptography;
using System.Text;
using FtAkka.Nodes.HostFiles;

namespace FtAkka.Nodes.Arbiters;

/// <summary>
/// By this the shared folder is known: <c>cluster init</c> puts a file with the cluster's identity into it, and the identity into the nodes' files. A folder
/// where nothing is mounted, or another cluster's, has not got it: an arbiter there would give a VM away that somebody else owns.
/// </summary>
public static class ClusterIdentity
{
    /// <summary>Name of the file in the shared folder.</summary>
    public const string FileName = "ftakka-cluster";

    private const int RandomBytes = 16;

    private const int BytesMax = 256;

    /// <summary>An identity that no other cluster has.</summary>
    public static string New() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(RandomBytes));

    /// <summary>Puts an identity into a folder that has none.</summary>
    /// <exception cref="IOException">It has one already, or the storage fails.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission.</exception>
    public static void Write(string directory, string identity)
    {
        using var file = new FileStream(Path.Combine(directory, FileName), FileMode.CreateNew, FileAccess.Write);
        file.Write(Encoding.ASCII.GetBytes(identity + "\n"));
        file.Flush(flushToDisk: true);
    }

    /// <summary>Refuses a folder that does not carry this identity.</summary>
    /// <exception cref="IOException">It does not, or is not there, or cannot be read.</exception>
    public static void Require(string directory, string identity)
    {
        if (!Directory.Exists(directory))
        {
            throw new IOException($"The shared folder {directory} is not there, and a node never makes it: mount it, or name the right one in ftakka.node.shared-directory.");
        }
        string path = Path.Combine(directory, FileName);
        string found;
        try
        {
            found = Encoding.UTF8.GetString(RegularFile.Read(path, BytesMax, followLinks: false)).Trim();
        }
        catch (FileNotFoundException missing)
        {
            throw new IOException($"The shared folder {directory} does not carry the cluster's identity: there is no {path}. Is the folder mounted? "
                + $"'cluster init' makes the file; in the folder of this cluster it holds the line {identity}.", missing);
        }
        if (found != identity)
        {
            throw new IOException($"The shared folder {directory} belongs to another cluster: {path} says '{found}', and ftakka.node.cluster of this node is '{identity}'.");
        }
    }
}
