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

    [Fact]
    public void Record_that_is_cut_anywhere_or_changed_anywhere_is_an_error_or_still_says_the_same()
    {
        var arbiter = new FileArbiter(folder);
        Assert.Equal(OwnershipVerdict.Owned, arbiter.ClaimNow(ClaimOf("A", 1)));
        OwnershipRecord whole = arbiter.Newest("vm")!;
        string file = Path.Combine(folder, "vm.1.owner");
        byte[] content = File.ReadAllBytes(file);
        for (int length = 0; length < content.Length; length++)
        {
            File.WriteAllBytes(file, content[..length]);
            RequireSameOrNamed(whole, file, $"cut to {length} bytes");
        }
        for (int i = 0; i < content.Length; i++)
        {
            byte[] changed = [.. content];
            changed[i] ^= 1;
            File.WriteAllBytes(file, changed);
            Assert.Contains(file, Assert.Throws<ArbiterRecordException>(() => arbiter.Newest("vm")).Message, StringComparison.Ordinal);
            Assert.Equal(OwnershipVerdict.Unreachable, arbiter.ClaimNow(ClaimOf("B", 2)));
        }
        Assert.Single(Directory.EnumerateFiles(folder));
    }

    private void RequireSameOrNamed(OwnershipRecord whole, string file, string what)
    {
        try
        {
            Assert.True(new FileArbiter(folder).Newest("vm") == whole, what);
        }
        catch (ArbiterRecordException refused)
        {
            Assert.Contains(file, refused.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Record_of_a_build_that_wrote_no_checksum_counts()
    {
        File.WriteAllText(Path.Combine(folder, "vm.3.owner"), """{"Vm":"vm","Generation":3,"Node":"A","Incarnation":1,"TakenAt":"2026-01-01"}""");
        Assert.Equal(OwnershipVerdict.Owned, new FileArbiter(folder).CheckNow(ClaimOf("A", 3)));
        Assert.Equal(OwnershipVerdict.Owned, new FileArbiter(folder).ClaimNow(ClaimOf("B", 4)));
    }

    [Fact]
    public void Whatever_stands_in_a_records_place_is_an_error_that_names_it_and_concerns_its_VM_only()
    {
        var arbiter = new FileArbiter(folder);
        Assert.Equal(OwnershipVerdict.Owned, arbiter.ClaimNow(ClaimOf("A", 1)));
        string second = Path.Combine(folder, "vm.2.owner");
        Directory.CreateDirectory(second);
        Assert.Contains(second, Assert.Throws<ArbiterRecordException>(() => arbiter.Newest("vm")).Message, StringComparison.Ordinal);
        Assert.Equal(OwnershipVerdict.Owned, arbiter.ClaimNow(new OwnershipClaim(new ReplicaIdentity("other", "A", 1), 1)));

        Directory.Delete(second);
        File.WriteAllBytes(second, new byte[1 << 20]);
        Assert.Contains("at most", Assert.Throws<ArbiterRecordException>(() => arbiter.Newest("vm")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Mark_of_an_end_is_not_written_or_read_through_a_link()
    {
        var arbiter = new FileArbiter(folder);
        string target = Path.Combine(folder, "target"), mark = Path.Combine(folder, "vm.1.ended");
        File.WriteAllText(target, "precious");
        File.CreateSymbolicLink(mark, target);
        arbiter.NoteEnd("vm", 1);
        Assert.Equal("precious", File.ReadAllText(target));
        Assert.Contains(mark, Assert.Throws<ArbiterRecordException>(() => arbiter.HasEnded("vm", 1)).Message, StringComparison.Ordinal);

        File.Delete(mark);
        Assert.False(arbiter.HasEnded("vm", 1));
        arbiter.NoteEnd("vm", 1);
        arbiter.NoteEnd("vm", 1);
        Assert.True(arbiter.HasEnded("vm", 1));
    }

    [Fact]
    public void Directory_that_loses_the_clusters_identity_grants_and_denies_nothing_and_is_named()
    {
        string identity = ClusterIdentity.New(), mark = Path.Combine(folder, ClusterIdentity.FileName);
        var arbiter = new FileArbiter(folder, identity);
        RequireUnreachable(arbiter);
        ClusterIdentity.Write(folder, identity);
        Assert.Equal(OwnershipVerdict.Owned, arbiter.ClaimNow(ClaimOf("A", 1)));
        Assert.Throws<IOException>(() => ClusterIdentity.Write(folder, ClusterIdentity.New()));

        File.Delete(mark);   // As where the folder is not mounted any more.
        RequireUnreachable(arbiter);
        ClusterIdentity.Write(folder, ClusterIdentity.New());
        RequireUnreachable(arbiter);
    }

    private void RequireUnreachable(FileArbiter arbiter)
    {
        Assert.Equal(OwnershipVerdict.Unreachable, arbiter.ClaimNow(ClaimOf("B", 1)));
        Assert.Equal(OwnershipVerdict.Unreachable, arbiter.CheckNow(ClaimOf("A", 1)));
        foreach (Action look in new Action[] { () => arbiter.Newest("vm"), () => arbiter.HasEnded("vm", 1), () => arbiter.NoteEnd("vm", 1) })
        {
            Assert.Contains(folder, Assert.Throws<IOException>(look).Message, StringComparison.Ordinal);
        }
    }
}
