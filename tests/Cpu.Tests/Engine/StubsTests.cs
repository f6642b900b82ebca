using FtAkka.Cpu.Engine;

namespace FtAkka.Cpu.Tests.Engine;

public sealed class StubsTests
{
    [Theory]
    [InlineData(0x1000)]
    [InlineData(0x7FFF_0000)]
    public void Code_is_the_same_at_every_address(int address)
    {
        // It is assembled once and copied to where each engine has its code.
        (byte[] code, int[] starts) = Stubs.Assemble(0);
        (byte[] elsewhere, int[] startsElsewhere) = Stubs.Assemble(address);

        Assert.Equal(code, elsewhere);
        Assert.Equal(starts, startsElsewhere);
        Assert.Equal(Enum.GetValues<ExitKind>().Length + 4, starts.Length);
    }
}
