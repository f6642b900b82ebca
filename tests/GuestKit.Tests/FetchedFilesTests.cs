
namespace FtAkka.GuestKit.Tests;

public sealed class FetchedFilesTests : IDisposable
{
    private readonly TemporaryFolder folder = new(Path.GetTempPath());

    private string Kernel => Path.Combine(folder.Path, "vmlinuz");

    private string Record => Path.Combine(folder.Path, "kernel.json");

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Record_is_read_back_while_the_files_are_intact()
    {
        WriteSample();

        FetchedFiles? record = FetchedFiles.ReadVerified(Record);

        Assert.Equal("sample", record?.MadeFrom);
        Assert.Equal("6.1", record?.Facts["release"]);
    }

    [Theory]
    [InlineData("change")]
    [InlineData("delete")]
    [InlineData("damage record")]
    public void Damage_makes_the_record_void(string damage)
    {
        WriteSample();
        switch (damage)
        {
            case "change":
                File.AppendAllText(Kernel, "x");
                break;
            case "delete":
                File.Delete(Kernel);
                break;
            default:
                File.WriteAllText(Record, "{ \"MadeFrom\": \"sam");
                break;
        }

        Assert.Null(FetchedFiles.ReadVerified(Record));
    }

    [Fact]
    public void Failed_write_leaves_the_old_file_and_nothing_else()
    {
        FetchedFiles.WriteAtomically(Kernel, s => s.Write("old"u8));

        Assert.Throws<InvalidDataException>(() => FetchedFiles.WriteAtomically(Kernel, s =>
        {
            s.Write("new"u8);
            throw new InvalidDataException();
        }));

        Assert.Equal("old", File.ReadAllText(Kernel));
        Assert.Equal([Kernel], Directory.GetFiles(folder.Path));
    }

    private void WriteSample()
    {
        File.WriteAllText(Kernel, "a kernel");
        FetchedFiles.Write(Record, "sample", new Dictionary<string, string> { ["release"] = "6.1" }, [Kernel]);
    }
}
