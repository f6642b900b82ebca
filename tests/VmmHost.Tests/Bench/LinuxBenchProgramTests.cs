using FtAkka.GuestKit;
using FtAkka.LinuxBench;
using FtAkka.VmmHost.Tests.Guests;

namespace FtAkka.VmmHost.Tests.Bench;

public sealed class LinuxBenchProgramTests
{
    [HostProgramFact("gcc")]
    public void Program_builds_and_computes_the_known_checksums()
    {
        using var folder = new TemporaryFolder(Path.GetTempPath());
        string program = LinuxBenchProgram.Build(folder.Path);

        string output = HostCommand.RunChecked(program, ["matmul", "nbody", "memcpy"]);

        Assert.Equal(
            "FTBENCH-START matmul\nFTBENCH-END matmul 872e032fa11a9b50\n"
            + "FTBENCH-START nbody\nFTBENCH-END nbody f394587abd0c2976\n"
            + "FTBENCH-START memcpy\nFTBENCH-END memcpy 18e96bf2d4cbb2a7\n",
            output);
        Assert.Equal(2, HostCommand.Run(program, ["blksync"]).ExitCode); // a disk is needed and none is given
    }
}
