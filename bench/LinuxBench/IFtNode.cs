namespace FtAkka.LinuxBench;

/// <summary>Starts the pair of nodes that <see cref="FtBenchmark"/> measures: the program that is measured knows how.</summary>
/// <param name="folder">For their files.</param>
/// <param name="settings">HOCON to add to the settings of each.</param>
/// <param name="cancelled">Ends the starting.</param>
/// <returns>The node of the guest, then the one for its backup.</returns>
public delegate Task<(IFtNode Primary, IFtNode Backup)> StartFtNodes(string folder, string settings, CancellationToken cancelled);

/// <summary>A node in a process of its own on this host, as the benchmark sees it. Disposing ends the process.</summary>
public interface IFtNode : IDisposable
{
    /// <summary>Its name in the cluster.</summary>
    string Name { get; }

    /// <summary>Processor time that its process has used, all threads together.</summary>
    TimeSpan CpuTime { get; }

    /// <summary>Starts the VM that a file describes.</summary>
    Task StartVmAsync(string file, CancellationToken cancelled);

    /// <summary>Has a VM copied to another node, which becomes its backup.</summary>
    Task ProtectAsync(string vm, string backup, CancellationToken cancelled);

    /// <summary>Takes a VM's backup away.</summary>
    Task UnprotectAsync(string vm, CancellationToken cancelled);

    /// <summary>The state of a VM's replica; null if the VM is not live on this node.</summary>
    Task<FtGuestStatus?> StatusAsync(string vm, CancellationToken cancelled);

    /// <summary>A VM's console.</summary>
    IFtConsole ConsoleOf(string vm);
}

/// <summary>The console of a VM.</summary>
public interface IFtConsole
{
    /// <summary>Gives what the guest prints, in order, until cancelled or until the VM has been live nowhere for so long.</summary>
    Task FollowAsync(Action<byte[]> taken, TimeSpan patience, CancellationToken cancelled);

    /// <summary>Types.</summary>
    Task TypeAsync(byte[] bytes, CancellationToken cancelled);
}

/// <summary>The live replica of a VM.</summary>
public sealed record FtGuestStatus
{
    /// <summary>It has no backup, and none is being made.</summary>
    public bool IsSolo { get; init; }

    /// <summary>The backup can take over.</summary>
    public bool IsProtected { get; init; }

    /// <summary>Execution lag of the backup.</summary>
    public double LagMs { get; init; }

    /// <summary>Bytes of log entries sent to backups since it went live.</summary>
    public long LogBytesSent { get; init; }

    /// <summary>How long half of the outputs waited for their acknowledgement at most.</summary>
    public double OutputDelayMedianMs { get; init; }

    /// <summary>The same for 99 of 100.</summary>
    public double OutputDelayP99Ms { get; init; }

    /// <summary>Outputs that waited.</summary>
    public long OutputsDelayed { get; init; }

    /// <summary>How long the guest stood for the last part of its last copy; null before the first.</summary>
    public double? CopyPauseMs { get; init; }

    /// <summary>The last pre-copy round, for people; null before the first.</summary>
    public string? CopyState { get; init; }
}
