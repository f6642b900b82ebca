namespace FtAkka.DeviceActors.Tests;

/// <summary>A folder that goes away with the test. Its path is short, because unix socket paths are limited to 107 bytes.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("ft");

    public string File(string name) => Path.Combine(folder.FullName, name);

    public void Dispose() => folder.Delete(recursive: true);
}
