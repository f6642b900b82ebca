using FtAkka.Machine;

namespace FtAkka.Nodes.Tests;

/// <summary>A profile is what a peer offers: it is taken whole, or refused with a reason.</summary>
public sealed class VmProfileTests
{
    private static readonly VmProfile Profile = new()
    {
        Name = "web",
        CpuModel = "ftvm64-v1",
        MemoryBytes = 64 << 20,
        CommandLine = "console=ttyS0",
        BootUnixSeconds = 1_700_000_000,
        RngSeed = 7,
        Disks = [new VmProfile.Disk("/images/web.img", ReadOnly: false, CapacitySectors: 4096)],
    };

    [Fact]
    public void Profile_builds_the_same_machine_after_its_way_as_text()
    {
        VmProfile? read = VmProfile.TryRead(Profile.Write(), out string refusal);
        Assert.Equal("", refusal);
        Assert.Equal(Profile.Write(), read!.Write());
        MachineConfig machine = read.Machine;
        Assert.Equal((Profile.MemoryBytes, Profile.RngSeed, Profile.BootUnixSeconds, Profile.CommandLine),
            (machine.MemoryBytes, machine.RngSeed, machine.BootUnixSeconds, machine.CommandLine));
        Assert.Equal(4096UL, Assert.Single(machine.Disks).CapacitySectors);
    }

    [Theory]
    [InlineData("", "not understood")]
    [InlineData("{}", "not understood")]
    [InlineData("[1]", "not understood")]
    [InlineData("""{"Name":"web","CpuModel":"ftvm64-v1","Semantics":2,"MemoryBytes":67108864,"Sockets":2}""", "same version")]
    [InlineData("""{"Name":"web","CpuModel":"ftvm64-v1","MemoryBytes":67108864}""", "same version")] // as an older node offers it
    [InlineData("""{"Name":"web","CpuModel":"ftvm64-v1","Semantics":1,"MemoryBytes":67108864}""", "CPU semantics 1, and this node under 2: both nodes must run the same version")]
    [InlineData("""{"Name":"web","CpuModel":"ftvm64-v9","Semantics":2,"MemoryBytes":67108864}""", "ftvm64-v9")]
    [InlineData("""{"Name":"../web","CpuModel":"ftvm64-v1","Semantics":2,"MemoryBytes":67108864}""", "letters, digits")]
    [InlineData("""{"Name":"web","CpuModel":"ftvm64-v1","Semantics":2,"MemoryBytes":12345}""", "emory")]
    public void What_is_not_understood_is_refused_with_a_reason(string text, string reason)
    {
        Assert.Null(VmProfile.TryRead(text, out string refusal));
        Assert.Contains(reason, refusal, StringComparison.Ordinal);
    }
}
