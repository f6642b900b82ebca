using FtAkka.Nodes.Arbiters;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.Tests;

/// <summary>The arbiter grants a generation to one contender, whoever asks how often at the same time.</summary>
public sealed class FileArbiterTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("ftakka-arbiter-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static OwnershipClaim ClaimOf(string node, ulong generation) => new(new ReplicaIdentity("vm", node, 1), generation);

    [Fact]
    public async Task Of_two_contenders_one_wins_each_generation_and_asking_again_changes_nothing()
    {
        for (ulong generation = 1; generation <= 100; generation++)
        {
            using var start = new Barrier(2);
            Task<OwnershipVerdict>[] contenders = [.. new[] { "A", "B" }.Select(node => Task.Factory.StartNew(() =>
            {
                start.SignalAndWait();
                return new FileArbiter(folder).ClaimNow(ClaimOf(node, generation));
            }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
            OwnershipVerdict[] verdicts = await Task.WhenAll(contenders);

            Assert.Equal([OwnershipVerdict.Owned, OwnershipVerdict.Lost], verdicts.Order());
            string winner = verdicts[0] == OwnershipVerdict.Owned ? "A" : "B";
            Assert.Equal(winner, new FileArbiter(folder).Newest("vm")!.Node);
            Assert.Equal(verdicts[0], new FileArbiter(folder).ClaimNow(ClaimOf("A", generation)));
            Assert.Equal(verdicts[1], new FileArbiter(folder).CheckNow(ClaimOf("B", generation)));
        }
    }

    [Fact]
    public void Generation_that_has_passed_is_lost()
    {
        var arbiter = new FileArbiter(folder);
        Assert.Equal(OwnershipVerdict.Owned, arbiter.ClaimNow(ClaimOf("A", 1)));
        Assert.Equal(OwnershipVerdict.Owned, arbiter.ClaimNow(ClaimOf("B", 2)));

        Assert.Equal(OwnershipVerdict.Lost, arbiter.CheckNow(ClaimOf("A", 1)));
        Assert.Equal(OwnershipVerdict.Lost, arbiter.ClaimNow(ClaimOf("A", 1)));
    }

    [Fact]
    public void Storage_that_is_not_there_or_damaged_grants_and_denies_nothing()
    {
        Assert.Equal(OwnershipVerdict.Unreachable, new FileArbiter(Path.Combine(folder, "absent")).ClaimNow(ClaimOf("A", 1)));

        File.WriteAllText(Path.Combine(folder, "vm.1.owner"), "{ torn");
        Assert.Equal(OwnershipVerdict.Unreachable, new FileArbiter(folder).ClaimNow(ClaimOf("A", 2)));
        Assert.Equal(OwnershipVerdict.Unreachable, new FileArbiter(folder).CheckNow(ClaimOf("A", 1)));
    }

    [Fact]
    public void Names_that_begin_alike_are_different_machines()
    {
        var arbiter = new FileArbiter(folder);
        Assert.Equal(OwnershipVerdict.Owned, arbiter.ClaimNow(new OwnershipClaim(new ReplicaIdentity("vm.1", "A", 1), 1)));
        Assert.Null(arbiter.Newest("vm"));
    }
}
