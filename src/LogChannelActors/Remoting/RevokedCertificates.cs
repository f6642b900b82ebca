using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace FtAkka.LogChannelActors.Remoting;

/// <summary>
/// The format of a list of certificates that are not good any more, though their time is not over: a line for each, with its fingerprint (SHA-256 of
/// the certificate, 64 hexadecimal digits), and behind a blank what people note of it. Empty lines, and lines that begin with #, say nothing.
/// </summary>
public static class RevokedCertificates
{
    /// <summary>A longer list is not taken.</summary>
    public const int BytesMax = 1 << 20;

    private const int FingerprintDigits = 64;

    /// <summary>The fingerprint of a certificate.</summary>
    public static string FingerprintOf(X509Certificate certificate)
    {
        ArgumentNullException.ThrowIfNull(certificate);
        return FingerprintOf(certificate.GetRawCertData());
    }

    /// <summary>Whether a text is a fingerprint.</summary>
    public static bool IsFingerprint(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Length == FingerprintDigits && text.All(char.IsAsciiHexDigit);
    }

    /// <summary>The fingerprints of a list.</summary>
    /// <exception cref="FormatException">A line has none; the message has its number.</exception>
    public static IReadOnlySet<string> Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var fingerprints = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        int number = 0;
        foreach (string line in text.Split('\n').Select(line => line.Trim()))
        {
            number++;
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            string first = line.Split([' ', '\t'], 2)[0];
            if (!IsFingerprint(first))
            {
                throw new FormatException($"line {number} does not begin with a certificate's fingerprint of {FingerprintDigits} hexadecimal digits");
            }

            fingerprints.Add(first);
        }

        return fingerprints.ToFrozenSet(StringComparer.OrdinalIgnoreCase);
    }

    internal static string FingerprintOf(byte[] certificate) => Convert.ToHexStringLower(SHA256.HashData(certificate));
}
