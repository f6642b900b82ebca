using FtAkka.Nodes.Arbiters;
using FtAkka.Nodes.Labels;
using FtAkka.Replication.Protection;

namespace FtAkka.Nodes.Tests;

/// <summary>One disk, one VM: what says whose an image is, and when another may have it.</summary>
public sealed class DiskLabelsTests : IDisposable
{
    private const string ThisCluster = "cluster";

    private readonly string folder = Directory.CreateTempSubdirectory("ftakka-labels-").FullName;

    public DiskLabelsTests() => File.WriteAllBytes(Image, new byte[512]);

    private string Image => Path.Combine(folder, "disk.raw");

    private string Label => Image + DiskLabels.Suffix;

    private FileArbiter Arbiter => new(folder);

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private DiskLabels On(string node, string cluster = ThisCluster, INodeArbiter? arbiter = null) => new(node, cluster, folder, arbiter ?? Arbiter);

    private void Run(string vm) => Assert.Equal(OwnershipVerdict.Owned, Arbiter.ClaimNow(new OwnershipClaim(new ReplicaIdentity(vm, "A", 1), 1)));

    private static string RefusalOf(Action act) => Assert.ThrowsAny<IOException>(act).Message;

    [Fact]
    public void Image_is_its_first_VMs_on_every_node_and_no_others()
    {
        string identity = On("A").Take("web", Image, separate: false);
        Run("web");
        Assert.Equal(identity, On("A").Take("web", Image, separate: false));
        On("B").Require("web", Image, identity);
        foreach (string node in new[] { "A", "B" })
        {
            string refusal = RefusalOf(() => On(node).Take("db", Image, separate: false));
            Assert.Contains("web has not ended in order", refusal, StringComparison.Ordinal);
            Assert.Contains(Label, refusal, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Image_of_a_VM_that_ended_in_order_is_another_VMs_when_that_starts_and_the_formers_no_more()
    {
        string identity = On("A").Take("web", Image, separate: false);
        Run("web");
        Arbiter.NoteEnd("web", 1);
        string taken = On("B").Take("db", Image, separate: false);
        Run("db");
        Assert.NotEqual(identity, taken);
        Assert.Contains("belongs to the VM db", RefusalOf(() => On("A").Require("web", Image, identity)), StringComparison.Ordinal);
        RefusalOf(() => On("A").Take("web", Image, separate: false));
    }

    [Fact]
    public void Image_of_a_VM_that_never_ran_is_free()
    {
        On("A").Take("web", Image, separate: false);
        On("A").Take("db", Image, separate: false);
        On("A").Require("db", Image, On("A").Take("db", Image, separate: false));
    }

    [Fact]
    public void VM_that_starts_while_its_image_is_taken_keeps_it()
    {
        string identity = On("A").Take("web", Image, separate: false);
        var late = new LateArbiter(Arbiter, look: 2, () => Run("web"));
        RefusalOf(() => On("B", arbiter: late).Take("db", Image, separate: false));
        On("A").Require("web", Image, identity);
        Assert.Single(Directory.GetFiles(folder, "*.ftakka*"));
    }

    [Fact]
    public void VM_that_comes_second_does_not_take_what_a_former_one_left_from_the_first()
    {
        On("A").Take("web", Image, separate: false);
        string identity = "";
        var late = new LateArbiter(Arbiter, look: 1, () =>
        {
            identity = On("A").Take("db", Image, separate: false);
            Run("db");
        });
        Assert.Contains("belongs to the VM db", RefusalOf(() => On("B", arbiter: late).Take("mail", Image, separate: false)), StringComparison.Ordinal);
        On("A").Require("db", Image, identity);
    }

    [Fact]
    public void Turn_that_another_VM_has_is_waited_for_by_nobody()
    {
        string identity = On("A").Take("web", Image, separate: false), turn = $"{Label}-after-{identity}";
        File.WriteAllBytes(turn, new DiskLabel(ThisCluster, "db", identity).Write());
        Assert.Contains(turn, RefusalOf(() => On("A").Take("mail", Image, separate: false)), StringComparison.Ordinal);
        // Its own, from before the node was killed, keeps it from nothing.
        On("A").Take("db", Image, separate: false);
        Assert.False(File.Exists(turn));
    }

    [Fact]
    public void Image_of_another_cluster_is_refused()
    {
        On("A", "other").Take("web", Image, separate: false);
        Assert.Contains("another cluster", RefusalOf(() => On("A").Take("web", Image, separate: false)), StringComparison.Ordinal);
    }

    [Fact]
    public void Image_without_a_label_or_with_another_identity_is_not_the_disk_of_a_VM_that_runs()
    {
        string identity = On("A").Take("web", Image, separate: false);
        Assert.Contains("another image", RefusalOf(() => On("B").Require("web", Image, new string('0', 32))), StringComparison.Ordinal);
        Assert.Contains("another image", RefusalOf(() => On("B").Require("web", Image, null)), StringComparison.Ordinal);
        File.Delete(Label);
        Assert.Contains("there is no " + Label, RefusalOf(() => On("B").Require("web", Image, identity)), StringComparison.Ordinal);
    }

    [Fact]
    public void Label_that_is_damaged_torn_or_a_link_is_an_error_with_its_name()
    {
        On("A").Take("web", Image, separate: false);
        byte[] good = File.ReadAllBytes(Label);
        for (int length = 0; length < good.Length; length++)
        {
            File.WriteAllBytes(Label, good[..length]);
            Assert.Contains(Label, RefusalOf(() => On("A").Take("web", Image, separate: false)), StringComparison.Ordinal);
        }
        for (int at = 0; at < good.Length; at++)
        {
            byte[] damaged = [.. good];
            damaged[at] ^= 1;
            File.WriteAllBytes(Label, damaged);
            RefusalOf(() => On("A").Take("web", Image, separate: false));
        }
        File.WriteAllBytes(Image + ".real", good);
        File.Delete(Label);
        File.CreateSymbolicLink(Label, Image + ".real");
        Assert.Contains("symbolic link", RefusalOf(() => On("A").Take("web", Image, separate: false)), StringComparison.Ordinal);
    }

    [Fact]
    public void Two_names_of_one_image_have_one_label()
    {
        string link = Path.Combine(folder, "link.raw");
        File.CreateSymbolicLink(link, Image);
        On("A").Take("web", link, separate: false);
        Run("web");
        RefusalOf(() => On("A").Take("db", Image, separate: false));
    }

    [Fact]
    public void Of_many_VMs_that_start_with_one_image_at_once_one_has_it()
    {
        for (int round = 0; round < 20; round++)
        {
            File.Delete(Label);
            string[] vms = [.. Enumerable.Range(0, 4).Select(vm => $"vm{round}-{vm}")];
            string?[] taken = new string?[vms.Length];
            using var start = new Barrier(vms.Length);
            Thread[] starters = [.. vms.Select((vm, i) => new Thread(() =>
            {
                start.SignalAndWait();
                taken[i] = Record.Exception(() =>
                {
                    // As a node does it: the label, the record, and a last look when the devices are opened.
                    string identity = On($"N{i}").Take(vm, Image, separate: false);
                    Arbiter.ClaimNow(new OwnershipClaim(new ReplicaIdentity(vm, $"N{i}", 1), 1));
                    On($"N{i}").Require(vm, Image, identity);
                }) is null ? vm : null;
            }))];
            Array.ForEach(starters, starter => starter.Start());
            Array.ForEach(starters, starter => starter.Join());
            Assert.True(taken.Count(vm => vm is not null) <= 1, $"round {round}: {string.Join(", ", taken)}");
        }
    }

    [Fact]
    public void Own_image_is_not_overwritten_by_what_is_older_nor_by_another_VM()
    {
        string identity = On("A").Take("web", Image, separate: true);
        Run("web");
        On("A").NoteOwn("web", Image, identity, generation: 5, copy: true);
        On("A").RequireOwn("web", Image, generation: 5);
        Assert.Contains("generation 5", RefusalOf(() => On("A").RequireOwn("web", Image, generation: 4)), StringComparison.Ordinal);
        Assert.Contains("belongs to the VM web", RefusalOf(() => On("A").RequireOwn("db", Image, generation: 9)), StringComparison.Ordinal);
        Assert.Equal(identity, On("A").Take("web", Image, separate: true));
    }

    [Fact]
    public void Image_of_a_clusters_VM_is_not_for_a_VM_outside()
    {
        DiskLabels.RequireNone(Image);
        On("A").Take("web", Image, separate: false);
        Assert.Contains("belongs to the VM web of a cluster", RefusalOf(() => DiskLabels.RequireNone(Image)), StringComparison.Ordinal);
    }

    [Fact]
    public void Proof_writes_beside_the_image_and_never_into_it()
    {
        byte[] before = File.ReadAllBytes(Image);
        DateTime written = File.GetLastWriteTimeUtc(Image);
        On("B").ProveWritable(Image, separate: false);
        On("B").ProveArbiter("web");
        Assert.Equal((true, true), (File.Exists(Label + "-B"), File.Exists(Path.Combine(folder, "arbiter.ftakka-B"))));
        Assert.Equal(before, File.ReadAllBytes(Image));
        Assert.Equal(written, File.GetLastWriteTimeUtc(Image));
        RefusalOf(() => On("B").ProveWritable(Path.Combine(folder, "not-there", "disk.raw"), separate: false));
    }

    /// <summary>Something happens just before a look at a record.</summary>
    private sealed class LateArbiter(INodeArbiter arbiter, int look, Action happens) : INodeArbiter
    {
        private int looks;

        public string Place => arbiter.Place;

        public void Claim(OwnershipClaim claim, Action<OwnershipVerdict> answer) => arbiter.Claim(claim, answer);

        public void Check(OwnershipClaim claim, Action<OwnershipVerdict> answer) => arbiter.Check(claim, answer);

        public OwnershipVerdict ClaimNow(OwnershipClaim claim) => arbiter.ClaimNow(claim);

        public OwnershipRecord? Newest(string vm)
        {
            if (++looks == look)
            {
                happens();
            }
            return arbiter.Newest(vm);
        }

        public bool HasEnded(string vm, ulong generation) => arbiter.HasEnded(vm, generation);

        public void NoteEnd(string vm, ulong generation) => arbiter.NoteEnd(vm, generation);
    }
}
