using System.Runtime.InteropServices;

namespace FtAkka.Wire;

/// <summary>
/// A small direct-mapped cache from text bytes, as they stand in a frame, to what they were resolved to, so that a recurring path
/// or manifest costs neither a string nor a parse. Used by one thread. A peer that sends ever new texts only evicts its own entries.
/// </summary>
internal sealed class TextCache<T> where T : class
{
    private const int SlotCount = 256;
    private readonly byte[]?[] _keys = new byte[]?[SlotCount];
    private readonly T?[] _values = new T?[SlotCount];

    public T? Find(ReadOnlySpan<byte> key)
    {
        var slot = Slot(key);
        return _keys[slot] is { } known && key.SequenceEqual(known) ? _values[slot] : null;
    }

    public void Store(ReadOnlySpan<byte> key, T value)
    {
        var slot = Slot(key);
        _keys[slot] = key.ToArray();
        _values[slot] = value;
    }

    public void Clear()
    {
        Array.Clear(_keys);
        Array.Clear(_values);
    }

    private static int Slot(ReadOnlySpan<byte> key)
    {
        // Multiplicative hash over 8-byte words and the tail; paths differ mostly in their last bytes (the UID).
        const ulong Multiplier = 0x9E37_79B9_7F4A_7C15;
        var hash = (ulong)key.Length;
        var words = MemoryMarshal.Cast<byte, ulong>(key);
        foreach (var word in words)
        {
            hash = (hash ^ word) * Multiplier;
            hash ^= hash >> 29;
        }

        foreach (var tail in key[(words.Length * sizeof(ulong))..])
        {
            hash = (hash ^ tail) * Multiplier;
        }

        return (int)(hash >> 56);
    }
}
