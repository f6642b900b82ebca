using Akka.Actor;
using FtAkka.DeterministicSim.Network;

namespace FtAkka.DeterministicSim.Loop;

/// <summary>Something broke the rules under which a run is deterministic, or the run did not end.</summary>
public sealed class SimulationException(string message) : Exception(message);

/// <summary>
/// The one thread on which everything runs: mailboxes, tasks and timers of all actor systems of a run. What is ready is ordered by
/// (system, actor path, arrival), and the seed chooses the next from that order; when nothing is ready, virtual time jumps to the
/// next timer. The order by path, not by arrival, is what makes two processes agree: Akka walks hashed collections whose order
/// differs from process to process, and so does the arrival of what such a walk sends.
/// </summary>
public sealed class SimulationLoop : ISimulatedTime
{
    /// <summary>Steps without virtual time moving after which a run is taken for a livelock.</summary>
    public const int StepsAtOneTimeMax = 1_000_000;

    private const int NoSystem = int.MaxValue;

    [ThreadStatic]
    private static SimulationLoop? t_current;

    private readonly int _threadId = Environment.CurrentManagedThreadId;
    private readonly SimulatedRandom _choices;
    private readonly SimulatedRandom _remoting;
    private readonly List<ActorSystem> _systems = [];
    private readonly SortedSet<int> _dead = [];
    private readonly SortedSet<int> _paused = [];
    private readonly List<Work> _ready = [];
    private readonly List<Work> _parked = [];
    private readonly SortedSet<int> _stopping = [];
    private readonly List<RemotingStop> _stops = [];
    private readonly PriorityQueue<Work, (long DueTicks, long Sequence)> _timers = new();
    private long _sequence;
    private int _stepsAtThisTime;
    private string? _foreignPost;

    /// <summary>Makes the loop of the current thread.</summary>
    internal SimulationLoop(ulong seed, bool keepTrace)
    {
        _choices = SimulatedRandom.Stream(seed, "schedule");
        _remoting = SimulatedRandom.Stream(seed, "remoting");
        Trace = new SimulationTrace(keepTrace);
        t_current = this;
    }

    /// <summary>The loop of this thread.</summary>
    /// <exception cref="SimulationException">This thread runs no simulation.</exception>
    public static SimulationLoop Current => t_current
        ?? throw new SimulationException("A simulated actor system was made outside a simulation: use Simulation.Run.");

    /// <summary>The loop of this thread, or null.</summary>
    public static SimulationLoop? CurrentOrNone => t_current;

    /// <inheritdoc/>
    public TimeSpan Now { get; private set; }

    /// <summary>Steps taken so far.</summary>
    public long Steps { get; private set; }

    /// <summary>What has happened.</summary>
    public SimulationTrace Trace { get; }

    /// <summary>Shown every message to an actor, by the number of its system, when it is put into the mailbox; null if nobody looks.</summary>
    internal Action<int, IActorRef, object>? Watch { get; set; }

    /// <summary>Shown every line of the systems' logs; null if nobody looks.</summary>
    internal Action<Akka.Event.LogEvent>? WatchLog { get; set; }

    /// <summary>A system is being made: every mailbox runs at once, on the caller's stack.</summary>
    internal bool IsStarting { get; set; }

    /// <summary>The network between the systems of this run.</summary>
    public SimulatedNetwork Network { get; internal set; } = null!;

    /// <summary>The number of a system: the order in which systems were made in this run.</summary>
    public int NumberOf(ActorSystem system)
    {
        var index = _systems.IndexOf(system);
        if (index < 0)
        {
            index = _systems.Count;
            _systems.Add(system);
        }

        return index;
    }

    /// <inheritdoc/>
    public void Schedule(TimeSpan delay, Action action) => Schedule(NoSystem, delay, action);

    /// <summary>Runs an action of a system after a delay.</summary>
    internal void Schedule(int system, TimeSpan delay, Action action)
    {
        if (!IsOwnThread("a timer"))
        {
            return;
        }

        var due = Now + (delay > TimeSpan.Zero ? delay : TimeSpan.Zero);
        var sequence = _sequence++;
        _timers.Enqueue(new Work(system, "timer", sequence, action), (due.Ticks, sequence));
    }

    /// <summary>Makes work ready to run.</summary>
    internal void Post(int system, string key, Action action)
    {
        if (!IsOwnThread(key) || _dead.Contains(system))
        {
            return;
        }

        Insert(new Work(system, key, _sequence++, action));
    }

    /// <summary>Whether work of a system may run right now, without waiting for its turn.</summary>
    internal bool MayRunOnTheStack(int system) =>
        Environment.CurrentManagedThreadId == _threadId && !_dead.Contains(system) && !_paused.Contains(system);

    /// <summary>Whether a system's remoting is being stopped: tasks of its manager come back to the loop from then on.</summary>
    internal bool StopsRemoting(int system) => _stopping.Contains(system);

    /// <summary>Stops the remoting of a system, then does what Akka was about to do.</summary>
    internal void StopRemoting(int system, Action goOn)
    {
        var stop = new RemotingStop(_systems[system], Network, goOn);
        _stopping.Add(system);
        Post(system, "remoting stops", () =>
        {
            _stops.Add(stop);
            stop.Begin();
        });
    }

    /// <summary>One of so many chances of remoting.</summary>
    internal bool OneIn(int many) => _remoting.Below(many) == 0;

    /// <summary>Makes a task ready to run.</summary>
    internal void PostTask(Action run) => Post(NoSystem, "task", run);

    /// <summary>A system stops existing between two steps, as in a power cut: nothing of it ever runs again.</summary>
    internal void Kill(ActorSystem system)
    {
        var number = NumberOf(system);
        _dead.Add(number);
        _ready.RemoveAll(work => work.System == number);
        _parked.RemoveAll(work => work.System == number);
    }

    /// <summary>A system's process stands still: nothing of it runs, neither messages nor timers, until it is resumed.</summary>
    internal void Pause(ActorSystem system)
    {
        var number = NumberOf(system);
        _paused.Add(number);
        _parked.AddRange(_ready.Where(work => work.System == number));
        _ready.RemoveAll(work => work.System == number);
    }

    /// <summary>A paused system goes on; timers that were due meanwhile fire at once.</summary>
    internal void Resume(ActorSystem system)
    {
        var number = NumberOf(system);
        _paused.Remove(number);
        var back = _parked.Where(work => work.System == number).ToList();
        _parked.RemoveAll(work => work.System == number);
        back.ForEach(Insert);
    }

    /// <summary>Takes one step. False if nothing is left to do up to the given time, which then is the present.</summary>
    internal bool Step(TimeSpan until)
    {
        if (_foreignPost is not null)
        {
            throw new SimulationException(_foreignPost);
        }

        if (_ready.Count > 0)
        {
            var index = _choices.Below(_ready.Count);
            var work = _ready[index];
            _ready.RemoveAt(index);
            Run(work);
            return true;
        }

        if (_stops.Find(stop => stop.IsAnswered) is { } answered)
        {
            _stops.Remove(answered);
            answered.Complete();
            return true;
        }

        if (_timers.TryPeek(out var timer, out var key) && key.DueTicks <= until.Ticks)
        {
            _timers.Dequeue();
            if (key.DueTicks > Now.Ticks)
            {
                Now = TimeSpan.FromTicks(key.DueTicks);
                _stepsAtThisTime = 0;
            }

            if (_paused.Contains(timer.System))
            {
                _parked.Add(timer);
            }
            else if (!_dead.Contains(timer.System))
            {
                Run(timer);
            }

            return true;
        }

        Now = until > Now ? until : Now;
        _stepsAtThisTime = 0;
        return false;
    }

    /// <summary>Ends the run: later posts are ignored.</summary>
    internal void End()
    {
        t_current = null;
        Trace.Dispose();
    }

    private void Run(Work work)
    {
        Steps++;
        if (++_stepsAtThisTime > StepsAtOneTimeMax)
        {
            throw new SimulationException($"{StepsAtOneTimeMax} steps at virtual time {Now}: a livelock. The last was {work.Key}.");
        }

        Trace.Add($"{Now.Ticks} {(work.System == NoSystem ? -1 : work.System)} {work.Key}");
        work.Action();
    }

    private void Insert(Work work)
    {
        if (_paused.Contains(work.System))
        {
            _parked.Add(work);
            return;
        }

        var index = _ready.BinarySearch(work);
        _ready.Insert(index < 0 ? ~index : index, work);
    }

    /// <summary>False, and the end of the run, if called from another thread than the loop's.</summary>
    internal bool IsOwnThread(string what)
    {
        if (Environment.CurrentManagedThreadId == _threadId)
        {
            return true;
        }

        // Kept, not thrown: an exception on a pool thread would be lost in some task.
        Interlocked.CompareExchange(ref _foreignPost,
            $"Posted from another thread: {what}. A continuation left the loop (ConfigureAwait(false), PipeTo without "
            + $"useConfigureAwait: true, a bare Ask time-out, Task.Run).\n{Environment.StackTrace}", null);
        return false;
    }

    private sealed record Work(int System, string Key, long Sequence, Action Action) : IComparable<Work>
    {
        public int CompareTo(Work? other)
        {
            var bySystem = System.CompareTo(other!.System);
            if (bySystem != 0)
            {
                return bySystem;
            }

            var byKey = string.CompareOrdinal(Key, other.Key);
            return byKey != 0 ? byKey : Sequence.CompareTo(other.Sequence);
        }
    }
}
