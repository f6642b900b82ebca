using FtAkka.Replication.Log;
using FtAkka.Replication.Protection;

namespace FtAkka.Replication.Tests.Protection;

/// <summary>Lag, failure detection, arbiter, roles, options.</summary>
public sealed class DecisionTests
{
    private static readonly ProtectionOptions Options = new();
    private static readonly ReplicaIdentity A = new("vm", "a", 1), B = new("vm", "b", 1);

    [Fact]
    public void Lag_is_the_age_of_what_the_backup_does_and_idle_time_is_none()
    {
        var lag = new LagController(Options, Lsn.None, At(0));
        Assert.Equal(TimeSpan.Zero, lag.Lag(At(5000)));
        lag.Recorded(At(5000), new Lsn(1), 1);
        Assert.Equal(TimeSpan.FromMilliseconds(40), lag.Lag(At(5040)));
        lag.Recorded(At(5050), new Lsn(2), 2);
        lag.Executed(At(5060), new Lsn(1), At(5000), 1);
        Assert.Equal(TimeSpan.FromMilliseconds(60), lag.Lag(At(5060)));
        lag.Executed(At(5070), new Lsn(2), At(5050), 2);
        Assert.Equal(TimeSpan.Zero, lag.Lag(At(9000)));
    }

    [Fact]
    public void Drain_is_the_lag_of_a_backup_that_is_near_and_goes_by_its_own_speed_where_it_is_behind()
    {
        var lag = new LagController(Options, Lsn.None, At(0));
        Assert.Equal(TimeSpan.Zero, lag.Drain(At(0)));
        // A thousand instructions a millisecond on the primary, half of them on the backup.
        for (int ms = 1; ms <= 2000; ms++)
        {
            lag.Recorded(At(ms), new Lsn((ulong)ms), (ulong)ms * 1000);
            lag.Executed(At(ms), new Lsn((ulong)(ms / 2)), At(ms / 2), (ulong)ms * 500);
            lag.Step(At(ms));
            if (ms == 60)
            {
                Assert.Equal(lag.Lag(At(ms)), lag.Drain(At(ms)));
            }
        }
        Assert.Equal(TimeSpan.FromMilliseconds(1000), lag.Lag(At(2000)));
        Assert.InRange(lag.Drain(At(2000)).TotalMilliseconds, 1900, 2100);
    }

    [Fact]
    public void Paper_3_2_primary_stops_above_a_second_of_lag_and_goes_on_when_the_backup_has_caught_up()
    {
        var lag = new LagController(Options, Lsn.None, At(0));
        lag.Recorded(At(0), new Lsn(1), 1);
        lag.Step(At(1000));
        Assert.False(lag.MustStop);
        lag.Step(At(1001));
        Assert.True(lag.MustStop);
        lag.Recorded(At(1001), new Lsn(2), 2);
        lag.Executed(At(1100), new Lsn(1), At(700), 1);
        lag.Step(At(1100));
        Assert.True(lag.MustStop);
        lag.Executed(At(1150), new Lsn(2), At(1001), 2);
        lag.Step(At(1150));
        Assert.False(lag.MustStop);
    }

    /// <summary>
    /// A primary that records an entry per millisecond of execution, and a backup that needs <paramref name="cost"/> times as long for each. Now and then
    /// the primary's host, the backup's or the wire stands still.
    /// </summary>
    private static (List<int> Shares, List<double> Lags, int Stops) Pair(int milliseconds, Func<int, double> cost, int stallEvery = int.MaxValue, int stallMs = 0)
    {
        var lag = new LagController(Options, Lsn.None, At(0));
        var log = new Queue<(ulong Lsn, int At)>();
        (List<int> shares, List<double> lags, int stops) = ([], [], 0);
        (double primary, double backup) = (0, 0);
        ulong recorded = 0;
        (ulong Lsn, int At) executed = default;
        for (int ms = 1; ms <= milliseconds; ms++)
        {
            bool primaryStalls = ms % stallEvery < stallMs, backupStalls = (ms + (stallEvery / 2)) % stallEvery < stallMs;
            if (!primaryStalls && !lag.MustStop)
            {
                for (primary += lag.SharePercent / 100.0; primary >= 1; primary--)
                {
                    log.Enqueue((++recorded, ms));
                    lag.Recorded(At(ms), new Lsn(recorded), recorded);
                }
            }
            if (!backupStalls)
            {
                for (backup = Math.Min(4, backup + (1 / cost(ms))); backup >= 1 && log.TryDequeue(out var next); backup--)
                    executed = next;
            }
            if (primaryStalls)
                continue;
            // The backup reports at most every 10 ms.
            if (ms % 10 == 0 && executed.Lsn > 0)
                lag.Executed(At(ms), new Lsn(executed.Lsn), At(executed.At), executed.Lsn);
            if (ms % 10 != 0)
                continue;
            bool stopped = lag.MustStop;
            lag.Step(At(ms));
            stops += lag.MustStop && !stopped ? 1 : 0;
            shares.Add(lag.SharePercent);
            lags.Add(lag.Lag(At(ms)).TotalMilliseconds);
        }
        return (shares, lags, stops);
    }

    [Theory]
    [InlineData(1.25)]
    [InlineData(2)]
    [InlineData(5)]
    public void Share_settles_where_a_slow_backup_can_follow_and_the_lag_stays_short(double cost)
    {
        var (shares, lags, stops) = Pair(60_000, _ => cost);
        // What was recorded before the primary slowed down takes a backup its time.
        Assert.True(lags.Max() < 500 * cost, $"lag {lags.Max()}");
        Assert.InRange(stops, 0, 1);
        var settled = shares.Skip(1000).ToList();
        Assert.InRange(settled.Average(), 100 / cost * 0.85, 100 / cost * 1.1);
        Assert.True(lags.Skip(1000).Max() < 600, $"lag {lags.Skip(1000).Max()}");
        Assert.True(lags.Skip(1000).Average() < 2 * Options.LagTarget.TotalMilliseconds, $"mean lag {lags.Skip(1000).Average()}");
    }

    [Fact]
    public void Backup_that_was_slow_and_is_fast_again_gives_the_primary_its_share_back_within_seconds()
    {
        var (shares, _, _) = Pair(20_000, ms => ms < 10_000 ? 5 : 0.5);
        Assert.InRange(shares[990], 10, 30);
        Assert.Equal(100, shares[1500]);
    }

    [Fact]
    public void Host_that_stands_still_now_and_then_costs_the_primary_little()
    {
        var (shares, _, stops) = Pair(60_000, _ => 0.5, stallEvery: 1000, stallMs: 250);
        Assert.Equal(0, stops);
        Assert.True(shares.Average() > 85, $"mean share {shares.Average()}");
    }

    [Fact]
    public void Backup_that_stops_altogether_stops_the_primary_at_one_second_of_lag()
    {
        var (_, lags, stops) = Pair(5_000, ms => ms < 1000 ? 0.5 : 1e9);
        Assert.Equal(1, stops);
        Assert.True(lags[205] < 1100 && lags[205] > 1000, $"lag {lags[205]}");
    }

    [Fact]
    public void Share_never_falls_below_its_least() => Assert.Equal(Options.ShareMinPercent, Pair(60_000, _ => 50).Shares.Min());

    [Fact]
    public void Silence_of_both_channels_is_suspect_and_a_word_makes_alive_again()
    {
        var detector = new FailureDetector(Options, At(0));
        Assert.Equal(PeerHealth.Alive, Ticks(detector, 0, 299));
        Assert.Equal(PeerHealth.Suspect, detector.Step(At(300), DetectorInput.Tick));
        Assert.Equal(PeerHealth.Alive, detector.Step(At(310), DetectorInput.ChannelHeard));
    }

    [Fact]
    public void Node_that_beats_while_its_replica_hangs_is_suspect_later()
    {
        var detector = new FailureDetector(Options, At(0));
        for (int ms = 0; ms < 1500; ms += 50)
            Assert.Equal(PeerHealth.Alive, detector.Step(At(ms), DetectorInput.NodeHeard));
        Assert.Equal(PeerHealth.Suspect, detector.Step(At(1500), DetectorInput.NodeHeard));
    }

    [Fact]
    public void Own_pause_gives_the_peer_its_time_anew()
    {
        var detector = new FailureDetector(Options, At(0));
        Assert.Equal(PeerHealth.Alive, detector.Step(At(5000), DetectorInput.Tick));
        Assert.Equal(PeerHealth.Alive, Ticks(detector, 5000, 5299));
        Assert.Equal(PeerHealth.Suspect, detector.Step(At(5300), DetectorInput.Tick));
    }

    [Fact]
    public void One_winner_for_each_generation_and_the_winner_wins_again_when_it_repeats()
    {
        for (int seed = 0; seed < 1000; seed++)
        {
            var random = new Random(seed);
            var records = new List<OwnershipRecord>();
            var winners = new Dictionary<ulong, ReplicaIdentity>();
            for (int step = 0; step < 60; step++)
            {
                var claim = new OwnershipClaim(new ReplicaIdentity("vm", random.Next(2) == 0 ? "a" : "b", random.Next(2)), (ulong)random.Next(1, 8));
                if (OwnershipRules.MustCreate(records.LastOrDefault(), claim))
                    records.Add(new OwnershipRecord("vm", claim.Generation, claim.Replica.Node, claim.Replica.Incarnation, ""));
                if (OwnershipRules.Judge(records.LastOrDefault(), claim) == OwnershipVerdict.Owned)
                {
                    Assert.Equal(claim.Generation, (ulong)records.Count);
                    Assert.True(winners.TryAdd(claim.Generation, claim.Replica) || winners[claim.Generation] == claim.Replica, $"seed {seed}");
                }
            }
        }
    }

    [Fact]
    public void Records_with_a_hole_settle_nothing() =>
        Assert.Equal(OwnershipVerdict.Unreachable, OwnershipRules.Judge(new OwnershipRecord("vm", 1, "a", 1, ""), new OwnershipClaim(B, 5)));

    [Fact]
    public void Unreachable_arbiter_is_asked_again_with_growing_waits_and_never_guessed()
    {
        var client = new ArbiterClient(A, Options);
        var now = At(0);
        var ask = Assert.IsType<ArbiterStep.Claim>(client.Claim(now, 2));
        var waits = new List<double>();
        for (int i = 0; i < 9; i++)
        {
            Assert.Null(client.Answered(now, ask.Attempt, OwnershipVerdict.Unreachable));
            var from = now;
            ArbiterStep? again;
            for (now += TimeSpan.FromMilliseconds(1); (again = client.Tick(now)) is null; now += TimeSpan.FromMilliseconds(1)) { }
            waits.Add((now - from).TotalMilliseconds);
            Assert.Null(client.Answered(now, ask.Attempt, OwnershipVerdict.Owned));
            ask = Assert.IsType<ArbiterStep.Claim>(again);
        }
        Assert.Equal([20, 40, 80, 160, 320, 640, 1280, 2000, 2000], waits);
        Assert.Equal(OwnershipVerdict.Owned, Assert.IsType<ArbiterStep.Settled>(client.Answered(now, ask.Attempt, OwnershipVerdict.Owned)).Verdict);
        Assert.False(client.IsAsking);
    }

    [Fact]
    public void A_claim_under_way_is_not_taken_back_by_a_check()
    {
        var client = new ArbiterClient(A, Options);
        client.Claim(At(0), 2);
        Assert.Null(client.Check(At(1), 1));
        Assert.True(client.IsClaiming);
    }

    [Fact]
    public void Roles_follow_the_table()
    {
        var roles = Enum.GetValues<ReplicaRole>();
        Assert.DoesNotContain(roles, role => ReplicaRoles.MayFollow(ReplicaRole.Halted, role));
        Assert.All(roles, role => Assert.False(ReplicaRoles.MayFollow(role, role) && role != ReplicaRole.Halted));
        Assert.False(ReplicaRoles.MayFollow(ReplicaRole.BackupSyncing, ReplicaRole.GoingLive));
        Assert.False(ReplicaRoles.MayFollow(ReplicaRole.Backup, ReplicaRole.Solo));
        Assert.False(ReplicaRoles.MayFollow(ReplicaRole.Solo, ReplicaRole.ProtectedPrimary));
        Assert.Equal(8 + 6, roles.SelectMany(from => roles.Select(to => ReplicaRoles.MayFollow(from, to))).Count(may => may));
    }

    [Fact]
    public void A_lease_that_outlives_the_timeout_is_refused()
    {
        Assert.Null(Options.Validate());
        Assert.NotNull((Options with { LeaseDuration = TimeSpan.FromMilliseconds(299) }).Validate());
        Assert.Null((Options with { LeaseDuration = TimeSpan.FromMilliseconds(299), ClockDriftPerMille = 0 }).Validate());
        Assert.NotNull((Options with { PauseGuard = TimeSpan.FromSeconds(1) }).Validate());
        Assert.NotNull((Options with { HeartbeatInterval = TimeSpan.FromMilliseconds(200) }).Validate());
    }

    private static PeerHealth Ticks(FailureDetector detector, int from, int to)
    {
        for (int ms = from; ms <= to; ms++)
            detector.Step(At(ms), DetectorInput.Tick);
        return detector.Health;
    }

    private static Instant At(int milliseconds) => new(milliseconds * 10_000L);
}
