using System.Collections.Frozen;
using System.Text;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>
/// The list of revoked certificates as its file has it, looked at every two seconds on a thread of its own, since storage may hang. What was revoked stays so
/// while the file cannot be read, or is gone, or is no list: nobody becomes a member again by a folder that is not mounted.
/// </summary>
internal sealed class RevocationList : IDisposable
{
    private static readonly TimeSpan LooksEvery = TimeSpan.FromSeconds(2);

    private readonly string _path;
    private readonly Action<string> _say;
    private readonly Action<bool> _looked;
    private readonly ManualResetEventSlim _ended = new();
    private volatile IReadOnlySet<string> _revoked = FrozenSet<string>.Empty;
    private (DateTime Written, long Bytes) _seen;
    private string? _said;

    /// <param name="path">The file, which may be missing.</param>
    /// <param name="say">Told what is wrong with it.</param>
    /// <param name="looked">Told after each look at a list that has entries, on this list's thread; with true if they are others than before.</param>
    public RevocationList(string path, Action<string> say, Action<bool> looked)
    {
        (_path, _say, _looked) = (path, say, looked);
        Look();
        new Thread(Follow) { IsBackground = true, Name = "revoked certificates" }.Start();
    }

    /// <summary>Whether a certificate, in DER, was revoked.</summary>
    public bool Has(byte[] certificate) => _revoked.Count > 0 && _revoked.Contains(RevokedCertificates.FingerprintOf(certificate));

    /// <summary>The file is not looked at any more.</summary>
    public void Dispose() => _ended.Set();

    private void Follow()
    {
        while (!_ended.Wait(LooksEvery))
        {
            bool changed = Look();
            if (_revoked.Count > 0)
            {
                _looked(changed);
            }
        }
    }

    /// <returns>True if the list is another one now.</returns>
    private bool Look()
    {
        try
        {
            var file = new FileInfo(_path);
            if (!file.Exists)
            {
                return _seen == default ? false : throw new IOException("it is gone");
            }

            var seen = (file.LastWriteTimeUtc, file.Length);
            if (seen == _seen)
            {
                return false;
            }

            _revoked = RevokedCertificates.Parse(Read());
            (_seen, _said) = (seen, null);
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or FormatException)
        {
            if (_said != failure.Message)
            {
                _said = failure.Message;
                _say($"The list of revoked certificates {_path} cannot be used, what it had revoked stays revoked: {failure.Message}");
            }

            return false;
        }
    }

    private string Read()
    {
        using var file = new FileStream(_path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        if (file.Length > RevokedCertificates.BytesMax)
        {
            throw new IOException($"it has {file.Length} bytes; at most {RevokedCertificates.BytesMax} are read");
        }

        var bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return Encoding.UTF8.GetString(bytes);
    }
}
