using System.Runtime.InteropServices;
using Iced.Intel;

namespace FtAkka.Cpu.Verification;

/// <summary>Collects encoded bytes; reusable after <see cref="Clear"/>.</summary>
internal sealed class ByteListWriter : CodeWriter
{
    private readonly List<byte> _bytes = [];

    public ReadOnlySpan<byte> Bytes => CollectionsMarshal.AsSpan(_bytes);

    public void Clear() => _bytes.Clear();

    /// <inheritdoc/>
    public override void WriteByte(byte value) => _bytes.Add(value);
}
