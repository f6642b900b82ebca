using Microsoft.Win32.SafeHandles;

namespace FtAkka.DeviceActors.Consoles;

/// <summary>
/// Output into a file; no input. Byte N of the console's output is byte N of the file, so that a replica that goes live and writes
/// again what may have been written leaves the file with each byte once.
/// </summary>
public sealed class FileConsoleLink : IConsoleLink
{
    private readonly SafeFileHandle file;
    private readonly TaskCompletionSource<ConsoleLinkInput> never = new();

    /// <summary>Opens the file.</summary>
    /// <param name="path">Created if it does not exist.</param>
    /// <param name="continueExisting">True for a replica that goes on with the file; false to start it empty.</param>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission.</exception>
    public FileConsoleLink(string path, bool continueExisting = false)
    {
        FileMode mode = continueExisting ? FileMode.OpenOrCreate : FileMode.Create;
        file = File.OpenHandle(path, mode, FileAccess.Write, FileShare.ReadWrite);
    }

    /// <inheritdoc/>
    public bool ConnectedAtStart => true;

    /// <inheritdoc/>
    public Task<ConsoleLinkInput> ReceiveAsync() => never.Task;

    /// <inheritdoc/>
    public Task<bool> SendAsync(ulong offset, ReadOnlyMemory<byte> bytes)
    {
        RandomAccess.Write(file, bytes.Span, (long)offset);
        return Task.FromResult(true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        never.TrySetCanceled();
        file.Dispose();
    }
}
