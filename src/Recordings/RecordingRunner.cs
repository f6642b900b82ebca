using FtAkka.Cpu.Memory;
using FtAkka.Machine;
using FtAkka.Machine.Events;
using FtAkka.Replication.Replay;
using FtAkka.Replication.Snapshots;

namespace FtAkka.Recordings;

/// <summary>Runs a machine and records it: log, digests, keyframes.</summary>
public sealed class RecordingRunner : IMachineRunner, IDisposable
{
    /// <summary>Every so many keyframes one is full, so that going to any point reads a bounded number of files.</summary>
    private const int FullEvery = 32;

    private readonly RecordingWriter writer;
    private readonly MachineRecorder recorder;
    private readonly ulong keyframeEvery;
    private readonly DirtyPages written;
    private readonly List<int> pages = [];
    private ulong nextKeyframe;
    private SnapshotBase last;
    private int keyframes;
    private bool bootFilesWritten;
    private bool finished;

    /// <summary>Records a machine whose kernel is loaded and which has not run.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="writer">Takes the recording; owned by the caller, who closes it behind <see cref="Finish"/>.</param>
    /// <param name="digestEvery">Instructions between digests; 0: none.</param>
    /// <param name="keyframeEvery">Instructions between keyframes; 0: none but the first.</param>
    public RecordingRunner(GuestMachine machine, RecordingWriter writer, ulong digestEvery, ulong keyframeEvery)
    {
        ArgumentNullException.ThrowIfNull(machine);
        ArgumentNullException.ThrowIfNull(writer);
        this.writer = writer;
        this.keyframeEvery = keyframeEvery;
        recorder = new MachineRecorder(machine, digestEvery);
        written = machine.Memory.CreateDirtyLog();
        nextKeyframe = keyframeEvery == 0 ? ulong.MaxValue : machine.Icount + keyframeEvery;
        TakeKeyframe(recorder.Position);
    }

    /// <inheritdoc/>
    public GuestMachine Machine => recorder.Machine;

    /// <inheritdoc/>
    public MachineExit Run(ulong maxInstructions)
    {
        MachineExit exit = recorder.Run(Math.Min(maxInstructions, nextKeyframe - Machine.Icount));
        if (!bootFilesWritten && Machine.Restarts > 0)
        {
            // Before the log tells of anything that needs them.
            writer.WriteBootFiles(Machine.BootFiles!);
            bootFilesWritten = true;
        }
        if (exit.Icount == nextKeyframe)
        {
            nextKeyframe += keyframeEvery;
            TakeKeyframe(recorder.Checkpoint());
        }
        writer.Append(recorder.TakeEntries());
        return exit;
    }

    /// <inheritdoc/>
    public void Inject(InputEvent input) => recorder.Inject(input);

    /// <summary>Ends the recording where the machine stands, and hands over what is left. The second call does nothing.</summary>
    public void Finish()
    {
        if (finished)
        {
            return;
        }
        finished = true;
        recorder.Finish();
        writer.Append(recorder.TakeEntries());
    }

    /// <summary>Finishes, if the writer still can.</summary>
    public void Dispose()
    {
        try
        {
            Finish();
        }
        catch (RecordingException)
        {
            // Whoever owns the writer hears of it when closing it.
        }
        written.Dispose();
    }

    private void TakeKeyframe(LogPosition position)
    {
        writer.Append(recorder.TakeEntries());
        pages.Clear();
        written.Drain(pages);
        SnapshotCapture capture = keyframes++ % FullEvery == 0
            ? SnapshotCapture.Full(writer.Recording, Machine, position)
            : SnapshotCapture.Incremental(writer.Recording, Machine, position, last, pages);
        last = new SnapshotBase(capture.Header.Icount, position.LastLsn);
        writer.AddKeyframe(capture);
    }
}
