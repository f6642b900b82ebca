using System.Buffers;

namespace FtAkka.Replication.Log;

/// <summary>Takes what a MessagePack writer writes, in one array that is handed on as it is.</summary>
internal sealed class FrameBuffer(int capacity) : IBufferWriter<byte>
{
    private const int LeastRoom = 64;

    private byte[] _bytes = new byte[capacity];
    private int _length;

    /// <summary>What was written.</summary>
    public Memory<byte> Written => _bytes.AsMemory(0, _length);

    /// <inheritdoc/>
    public void Advance(int count) => _length += count;

    /// <inheritdoc/>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        int room = Math.Max(sizeHint, LeastRoom);
        if (_bytes.Length - _length < room)
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, checked(_length + room)));
        return _bytes.AsMemory(_length);
    }

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;
}
