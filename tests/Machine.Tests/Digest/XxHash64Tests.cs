using System.Text;
using FtAkka.Machine.Digest;

namespace FtAkka.Machine.Tests.Digest;

public sealed class XxHash64Tests
{
    /// <summary>Well-known vectors of XXH64.</summary>
    [Theory]
    [InlineData("", 0UL, 0xEF46DB3751D8E999UL)]
    [InlineData("a", 0UL, 0xD24EC4F1A98C6E5BUL)]
    [InlineData("abc", 0UL, 0x44BC2CF5AD770999UL)]
    [InlineData("Nobody inspects the spammish repetition", 0UL, 0xFBCEA83C8A378BF1UL)]
    public void Known_vectors(string text, ulong seed, ulong expected) =>
        Assert.Equal(expected, XxHash64.Hash(Encoding.ASCII.GetBytes(text), seed));

    /// <summary>The reference implementation's self-test: a buffer from its own generator, prefixes that reach every branch, two seeds.</summary>
    [Theory]
    [InlineData(1, 0UL, 0xE934A84ADB052768UL)]
    [InlineData(1, 2654435761UL, 0x5014607643A9B4C3UL)]
    [InlineData(14, 0UL, 0x8282DCC4994E35C8UL)]
    [InlineData(14, 2654435761UL, 0xC3BD6BF63DEB6DF0UL)]
    [InlineData(222, 0UL, 0xB641AE8CB691C174UL)]
    [InlineData(222, 2654435761UL, 0x20CB8AB7AE10C14AUL)]
    public void Reference_self_test(int length, ulong seed, ulong expected)
    {
        const ulong prime64 = 11400714785074694797;
        var buffer = new byte[length];
        var generator = 2654435761UL;
        for (var i = 0; i < length; i++)
        {
            buffer[i] = (byte)(generator >> 56);
            generator = unchecked(generator * prime64);
        }
        Assert.Equal(expected, XxHash64.Hash(buffer, seed));
    }
}
