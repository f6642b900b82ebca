using FtAkka.KnownFailures;
using FtAkka.Nodes.Arbiters;
using FtAkka.Replication.Protection;
using FtAkka.VmmHost.Nodes;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>A record that is not in order is an error that names its file, whatever is wrong with it.</summary>
public sealed class ArbiterRecordTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("ftakka-record-").FullName;

    private string RecordFile => Path.Combine(folder, "vm.1.owner");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void Empty_record_is_an_error_that_names_the_file() => RequireNamed("");

    [Fact]
    public void Torn_record_is_an_error_that_names_the_file() => RequireNamed("{\"Vm\":\"vm\",\"Generation\":1,\"No");

    [KnownToFail(Issue.Promises, "A record whose content belongs to another VM or generation is taken for this one's.", Shows = "no error")]
    public void Alien_record_is_an_error_that_names_the_file() =>
        RequireNamed("""{"Vm":"else","Generation":7,"Node":"B","Incarnation":1,"TakenAt":""}""");

    [KnownToFail(Issue.Promises, "A record that is a symbolic link is read wherever it leads.", Shows = "no error")]
    public void Record_that_is_a_symbolic_link_is_an_error_that_names_the_file()
    {
        Assert.Equal(OwnershipVerdict.Owned, new FileArbiter(folder).ClaimNow(new OwnershipClaim(new ReplicaIdentity("vm", "A", 1), 1)));
        File.Move(RecordFile, Path.Combine(folder, "elsewhere"));
        File.CreateSymbolicLink(RecordFile, Path.Combine(folder, "elsewhere"));
        RequireNamed(null);
    }

    [KnownToFail(Issue.Isolation, "A FIFO in the shared folder is waited for without end.", Shows = "still waits")]
    public async Task Record_that_is_a_FIFO_is_an_error_that_names_the_file()
    {
        using var record = new Fifo(RecordFile);
        Task<Exception?> look = Task.Factory.StartNew(ErrorOf, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        bool ended = await Task.WhenAny(look, Task.Delay(TimeSpan.FromSeconds(2))) == look;
        Assert.True(ended, "the arbiter still waits for the FIFO");
        Assert.Contains("vm.1.owner", Assert.IsAssignableFrom<IOException>(await look).Message, StringComparison.Ordinal);
    }

    private Exception? ErrorOf() => Record.Exception(() => new FileArbiter(folder).Newest("vm"));

    private void RequireNamed(string? content)
    {
        if (content is not null)
        {
            File.WriteAllText(RecordFile, content);
        }
        Exception? error = ErrorOf();
        Assert.True(error is IOException && error.Message.Contains("vm.1.owner", StringComparison.Ordinal), error is null ? "no error" : $"{error.GetType().Name}: {error.Message}");
    }
}
