using System.Globalization;
using System.Text;

namespace FtAkka.GdbStub;

/// <summary>Hexadecimal text as gdb's protocol has it.</summary>
internal static class Hex
{
    public const string Digits = "0123456789abcdef";

    /// <summary>Value of a digit; more than 15 for what is none, which fits no checksum.</summary>
    public static int Digit(byte value) => value switch
    {
        >= (byte)'0' and <= (byte)'9' => value - '0',
        >= (byte)'a' and <= (byte)'f' => value - 'a' + 10,
        >= (byte)'A' and <= (byte)'F' => value - 'A' + 10,
        _ => 0x1000,
    };

    /// <summary>Bytes as digits.</summary>
    public static string Of(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(bytes);

    /// <summary>ASCII text as digits.</summary>
    public static string OfText(string text) => Of(Encoding.ASCII.GetBytes(text));

    /// <summary>A number, most significant digit first.</summary>
    public static bool TryNumber(ReadOnlySpan<char> text, out ulong value) =>
        ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);

    /// <summary>Bytes; null if the text is no digits.</summary>
    public static byte[]? TryBytes(string text)
    {
        var bytes = new byte[text.Length / 2];
        if (text.Length % 2 != 0)
            return null;
        for (int i = 0; i < bytes.Length; i++)
        {
            int value = (Digit((byte)text[2 * i]) << 4) | Digit((byte)text[(2 * i) + 1]);
            if (value > 255)
                return null;
            bytes[i] = (byte)value;
        }
        return bytes;
    }
}
