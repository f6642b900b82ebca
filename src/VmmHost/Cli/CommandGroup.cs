namespace FtAkka.VmmHost.Cli;

/// <summary>A word of the command line that only groups verbs. It shows when at least one verb is in it.</summary>
/// <param name="Name">The word.</param>
/// <param name="Description">What the verbs in it have in common.</param>
public sealed record CommandGroup(string Name, string Description)
{
    /// <summary>Every group there is.</summary>
    public static IReadOnlyList<CommandGroup> All { get; } =
    [
        new("bench", "Measure parts of the monitor beside what a user would run instead."),
        new("cluster", "Prepare clusters of nodes."),
        new("guest", "Prepare Linux guests."),
        new("log", "Look into recordings."),
        new("sim", "Simulate clusters under faults: whole runs from one seed, again and again."),
        new("vm", "Run VMs on nodes, with or without a backup."),
    ];
}
