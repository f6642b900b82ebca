using FtAkka.DeterministicSim.Network;
using FtAkka.Replication.Protection;
using FtAkka.Replication.Protection.Clone;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>Limits that a run has instead of the product's: a number draws which are small, about half of them, and how small.</summary>
internal sealed class SmallLimits
{
    private readonly int? _logEntries;
    private readonly int? _logBytes;
    private readonly int? _outputs;
    private readonly int? _outputBytes;
    private readonly int? _batchBytes;
    private readonly int? _chunkBytes;
    private readonly int? _windowChunks;
    private readonly int? _rounds;
    private readonly int? _frames;

    public SmallLimits(long number)
    {
        SimulatedRandom random = SimulatedRandom.Stream((ulong)number, "limits");
        int? Draw(int least, int most) => random.Below(2) == 0 ? least + random.Below(most - least + 1) : null;
        (_logEntries, _logBytes, _outputs, _outputBytes, _batchBytes) = (Draw(4, 64), Draw(256, 16 << 10), Draw(1, 16), Draw(64, 8 << 10), Draw(64, 4 << 10));
        (_chunkBytes, _windowChunks, _rounds, _frames) = (Draw(4 << 10, 16 << 10), Draw(1, 3), Draw(1, 3), Draw(1, 4));
    }

    /// <summary>Frames that a host's end of the guest's network keeps.</summary>
    public int FramesOr(int usual) => _frames ?? usual;

    /// <summary>Of log, batches and outputs.</summary>
    public ProtectionOptions Of(ProtectionOptions usual) => usual with
    {
        LogEntriesMax = _logEntries ?? usual.LogEntriesMax,
        LogBytesMax = _logBytes ?? usual.LogBytesMax,
        OutputsMax = _outputs ?? usual.OutputsMax,
        OutputBytesMax = _outputBytes ?? usual.OutputBytesMax,
        BatchBytesMax = _batchBytes ?? usual.BatchBytesMax,
    };

    /// <summary>Of a copy.</summary>
    public CloneOptions Of(CloneOptions usual) => usual with
    {
        ChunkBytes = _chunkBytes ?? usual.ChunkBytes,
        WindowChunks = _windowChunks ?? usual.WindowChunks,
        WindowChunksMin = Math.Min(usual.WindowChunksMin, _windowChunks ?? usual.WindowChunks),
        RoundsMax = _rounds ?? usual.RoundsMax,
    };
}
