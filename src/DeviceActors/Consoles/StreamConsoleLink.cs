using System.Collections.Immutable;

namespace FtAkka.DeviceActors.Consoles;

/// <summary>
/// A console on a pair of byte streams: standard input and output of the process, or pipes of a test. Input is read by a thread of its
/// own, because reading a terminal cannot be cancelled; the thread ends with the stream or the process.
/// </summary>
public sealed class StreamConsoleLink : IConsoleLink
{
    private readonly Stream input;
    private readonly Stream output;
    private readonly IDisposable? terminal;
    private readonly SemaphoreSlim asked = new(0);
    private TaskCompletionSource<ConsoleLinkInput>? receiving;
    private volatile bool disposed;

    /// <summary>A console on these streams, which stay the caller's.</summary>
    /// <param name="input">What is typed.</param>
    /// <param name="output">Where output goes; flushed after each piece.</param>
    /// <param name="terminal">Disposed with the link: puts a terminal back into its former mode.</param>
    public StreamConsoleLink(Stream input, Stream output, IDisposable? terminal = null)
    {
        this.input = input;
        this.output = output;
        this.terminal = terminal;
        new Thread(Read) { IsBackground = true, Name = "console input" }.Start();
    }

    /// <inheritdoc/>
    public bool ConnectedAtStart => true;

    /// <inheritdoc/>
    public Task<ConsoleLinkInput> ReceiveAsync()
    {
        var done = new TaskCompletionSource<ConsoleLinkInput>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (Interlocked.CompareExchange(ref receiving, done, null) is not null)
        {
            done.SetException(new InvalidOperationException("A receive is under way."));
            return done.Task;
        }
        asked.Release();
        return done.Task;
    }

    /// <inheritdoc/>
    public async Task<bool> SendAsync(ulong offset, ReadOnlyMemory<byte> bytes)
    {
        try
        {
            await output.WriteAsync(bytes).ConfigureAwait(false);
            await output.FlushAsync().ConfigureAwait(false);
            return true;
        }
        catch (Exception lost) when (lost is IOException or ObjectDisposedException)
        {
            return false;   // The reader of a pipe is gone.
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (disposed)
        {
            return;
        }
        disposed = true;
        asked.Release();
        Interlocked.Exchange(ref receiving, null)?.TrySetCanceled();
        terminal?.Dispose();
    }

    private void Read()
    {
        byte[] buffer = new byte[4096];
        while (true)
        {
            asked.Wait();
            if (disposed || !TryRead(buffer, out int read))
            {
                return;   // End of input: the receive under way stays open for ever, as the interface says.
            }
            Interlocked.Exchange(ref receiving, null)?.TrySetResult(
                new ConsoleLinkInput(ImmutableArray.Create(buffer.AsSpan(0, read)), Connected: true));
        }
    }

    private bool TryRead(byte[] buffer, out int read)
    {
        try
        {
            read = input.Read(buffer);
        }
        catch (Exception ended) when (ended is IOException or ObjectDisposedException)
        {
            read = 0;
        }
        return read > 0;
    }
}
