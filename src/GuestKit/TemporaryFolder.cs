namespace FtAkka.GuestKit;

/// <summary>A folder that is deleted with all it holds when it is disposed of.</summary>
public sealed class TemporaryFolder : IDisposable
{
    /// <summary>Makes an empty folder with a new name inside <paramref name="parent"/>.</summary>
    public TemporaryFolder(string parent) =>
        Path = Directory.CreateDirectory(System.IO.Path.Combine(parent, "unpacked-" + Guid.NewGuid().ToString("n"))).FullName;

    /// <summary>Where it is.</summary>
    public string Path { get; }

    /// <summary>Makes a folder inside.</summary>
    public string Sub(string name) => Directory.CreateDirectory(System.IO.Path.Combine(Path, name)).FullName;

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(Path, recursive: true);
}
