using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Threading.Channels;

namespace FtAkka.DeviceActors.Consoles;

/// <summary>
/// A console's newest output by its position in the stream since power-on, for any number of clients that attach and leave, and what they
/// type. A backup fills it in replay, so that clients of the live replica find here, after a failover, what they had not read yet.
/// Thread-safe.
/// </summary>
public sealed class ConsoleScrollback
{
    /// <summary>Typed pieces that wait for the guest; a client that types faster waits.</summary>
    private const int InputPiecesMax = 64;

    /// <summary>Most guests print little, and a host may have many.</summary>
    private const int FirstRingBytes = 4096;

    private readonly Lock sync = new();
    private readonly int bytesMax;
    private byte[] ring;
    private readonly Channel<ImmutableArray<byte>> input = Channel.CreateBounded<ImmutableArray<byte>>(InputPiecesMax);
    private TaskCompletionSource more = NewSignal();
    private ulong first;
    private bool begun;
    private bool closed;

    /// <summary>An empty one.</summary>
    /// <param name="bytesMax">Bytes kept; the oldest beyond are lost.</param>
    public ConsoleScrollback(int bytesMax = 4 << 20)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytesMax, 1);
        this.bytesMax = bytesMax;
        ring = new byte[Math.Min(bytesMax, FirstRingBytes)];
    }

    /// <summary>Position behind the newest byte.</summary>
    public ulong End { get; private set; }

    /// <summary>What clients typed, in order.</summary>
    public ChannelReader<ImmutableArray<byte>> Typed => input.Reader;

    /// <summary>Takes output; what is known is skipped. After a gap, what was before it is forgotten.</summary>
    public void Append(ulong offset, ReadOnlySpan<byte> bytes)
    {
        TaskCompletionSource signal;
        lock (sync)
        {
            if (!begun || offset > End)
            {
                (first, End, begun) = (offset, offset, true);
            }
            ulong known = End - offset;
            if (known >= (ulong)bytes.Length)
            {
                return;
            }
            MakeRoom((long)(End - first) + bytes.Length - (long)known);
            foreach (byte value in bytes[(int)known..])
            {
                ring[End++ % (ulong)ring.Length] = value;
            }
            first = Math.Max(first, End > (ulong)ring.Length ? End - (ulong)ring.Length : 0);
            (signal, more) = (more, NewSignal());
        }
        signal.TrySetResult();
    }

    /// <summary>The replica is no more: clients get what is there, and must look elsewhere for the rest.</summary>
    public void Close()
    {
        TaskCompletionSource signal;
        lock (sync)
        {
            closed = true;
            signal = more;
        }
        signal.TrySetResult();
    }

    /// <summary>Output from a position on, or from the oldest byte kept if that is later. Waits until there is some.</summary>
    /// <returns>The bytes and the position of the first; no bytes once it is closed and all was read.</returns>
    public async Task<(ulong Offset, byte[] Bytes)> ReadAsync(ulong from, CancellationToken cancelled)
    {
        while (true)
        {
            Task wait;
            lock (sync)
            {
                ulong start = Math.Max(from, first);
                if (start < End)
                {
                    byte[] bytes = new byte[(int)Math.Min(End - start, 64 * 1024)];
                    for (int i = 0; i < bytes.Length; i++)
                    {
                        bytes[i] = ring[(start + (ulong)i) % (ulong)ring.Length];
                    }
                    return (start, bytes);
                }
                if (closed)
                {
                    return (start, []);
                }
                wait = more.Task;
            }
            await wait.WaitAsync(cancelled).ConfigureAwait(false);
        }
    }

    /// <summary>The newest output, at most so much of it.</summary>
    public (ulong Offset, ImmutableArray<byte> Bytes) Tail(int bytesMax)
    {
        lock (sync)
        {
            ulong start = Math.Max(first, End > (ulong)bytesMax ? End - (ulong)bytesMax : 0);
            var bytes = new byte[(int)(End - start)];
            for (int i = 0; i < bytes.Length; i++)
            {
                bytes[i] = ring[(start + (ulong)i) % (ulong)ring.Length];
            }
            return (start, ImmutableCollectionsMarshal.AsImmutableArray(bytes));
        }
    }

    /// <summary>
    /// Takes output that is older than what is kept and reaches up to it; what there is no room for is left out. A scrollback without output
    /// begins with it.
    /// </summary>
    public void Prepend(ulong offset, ReadOnlySpan<byte> bytes)
    {
        ulong end = offset + (ulong)bytes.Length;
        bool empty;
        lock (sync)
        {
            empty = !begun;
            if (!empty && end >= first && offset < first)
            {
                MakeRoom((long)(End - offset));
                ulong start = Math.Max(offset, End > (ulong)ring.Length ? End - (ulong)ring.Length : 0);
                for (ulong at = start; at < first; at++)
                {
                    ring[at % (ulong)ring.Length] = bytes[(int)(at - offset)];
                }
                first = Math.Min(first, start);
            }
        }
        if (empty)
        {
            Append(offset, bytes);
        }
    }

    /// <summary>A client types.</summary>
    public ValueTask TypeAsync(ImmutableArray<byte> bytes, CancellationToken cancelled) => input.Writer.WriteAsync(bytes, cancelled);

    private void MakeRoom(long count)
    {
        if (count <= ring.Length || ring.Length == bytesMax)
        {
            return;
        }
        byte[] larger = new byte[(int)Math.Min(bytesMax, Math.Max(count, 2L * ring.Length))];
        for (ulong position = first; position < End; position++)
        {
            larger[position % (ulong)larger.Length] = ring[position % (ulong)ring.Length];
        }
        ring = larger;
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

/// <summary>Connects a console actor with a scrollback, which stays the caller's.</summary>
public sealed class ScrollbackConsoleLink(ConsoleScrollback scrollback) : IConsoleLink
{
    private readonly CancellationTokenSource closed = new();

    /// <inheritdoc/>
    public bool ConnectedAtStart => true;

    /// <inheritdoc/>
    public async Task<ConsoleLinkInput> ReceiveAsync() => new(await scrollback.Typed.ReadAsync(closed.Token).ConfigureAwait(false), Connected: true);

    /// <inheritdoc/>
    public Task<bool> SendAsync(ulong offset, ReadOnlyMemory<byte> bytes)
    {
        scrollback.Append(offset, bytes.Span);
        return Task.FromResult(true);
    }

    /// <inheritdoc/>
    public void Dispose() => closed.Cancel();
}
