using System.Security.Cryptography;
using System.Text.Json;

namespace FtAkka.GuestKit;

/// <summary>
/// Record beside fetched files: what they were made from and their hashes, so that a second fetch can tell that nothing is to
/// be done, and a damaged file is made again.
/// </summary>
/// <param name="MadeFrom">Everything that went into the files; another value means they are out of date.</param>
/// <param name="Facts">What a person or another step wants to know, for example the kernel's release.</param>
/// <param name="Sha256ByFile">Hash of each file, by its name inside the folder.</param>
public sealed record FetchedFiles(
    string MadeFrom,
    SortedDictionary<string, string> Facts,
    SortedDictionary<string, string> Sha256ByFile)
{
    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true };

    /// <summary>Hash of a file's content, in lower-case hexadecimal digits.</summary>
    public static string HashOf(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    /// <summary>Reads a record; null when there is none, when it is unreadable, or when a file is missing or differs.</summary>
    public static FetchedFiles? ReadVerified(string path)
    {
        try
        {
            FetchedFiles? record = JsonSerializer.Deserialize<FetchedFiles>(File.ReadAllBytes(path));
            string folder = Path.GetDirectoryName(path)!;
            return record is { MadeFrom: not null, Facts: not null, Sha256ByFile: not null }
                && record.Sha256ByFile.All(f => IsIntact(Path.Combine(folder, f.Key), f.Value))
                ? record
                : null;
        }
        catch (Exception unreadable) when (unreadable is IOException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Writes the record; the files must be in place already.</summary>
    public static FetchedFiles Write(string path, string madeFrom, IReadOnlyDictionary<string, string> facts, IEnumerable<string> files)
    {
        var hashes = files.ToDictionary(f => Path.GetFileName(f), HashOf);
        var record = new FetchedFiles(madeFrom, new(facts.ToDictionary(), StringComparer.Ordinal), new(hashes, StringComparer.Ordinal));
        WriteAtomically(path, stream => JsonSerializer.Serialize(stream, record, Format));
        return record;
    }

    /// <summary>Writes a file so that others see the old content or the whole new one, also after a crash.</summary>
    public static void WriteAtomically(string path, Action<Stream> write)
    {
        string temporary = $"{path}.{Environment.ProcessId}.new";
        try
        {
            using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private static bool IsIntact(string path, string sha256) => File.Exists(path) && HashOf(path) == sha256;
}
