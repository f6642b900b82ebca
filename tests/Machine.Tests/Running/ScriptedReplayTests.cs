using FtAkka.Cpu;
using FtAkka.Machine.Events;

namespace FtAkka.Machine.Tests.Running;

/// <summary>Determinism of the platform: a restless scripted guest, live against replayed.</summary>
public sealed class ScriptedReplayTests
{
    private const ulong IcountMax = 300_000;

    /// <summary>A guest that does something else at each instruction, chosen by a hash of the icount, and prints what it sees.</summary>
    private static ScriptedStep Restless(ulong icount, ICpuBus bus)
    {
        if (icount == 0)
            ScriptedMachine.SetUp(bus);
        var hash = (icount + 1) * 0x9E37_79B9_7F4A_7C15;
        hash ^= hash >> 29;
        switch (hash % 400)
        {
            case 0:
                ScriptedMachine.ArmTimer(bus, (uint)(hash >> 32) % 3000);
                break;
            case 1:
                bus.MmioWrite(ScriptedMachine.LocalApic + 0x320, 4, (hash >> 32 & 1) << 17 | ScriptedMachine.TimerVector);
                break;
            case 2:
                ScriptedMachine.Print(bus, (char)(bus.ReadTimestampCounter() & 0xFF));
                break;
            case 3:
                ScriptedMachine.Print(bus, (char)(bus.MmioRead(ScriptedMachine.LocalApic + 0x390, 4) & 0xFF));
                break;
            case 4:
                ScriptedMachine.Print(bus, (char)bus.PortRead(0x3F8, 1));
                break;
            case 5:
                bus.PortWrite(0x3F9, 1, (uint)(hash >> 40) & 3);
                break;
            case 6:
                bus.WriteCr8(hash >> 33 & 3);
                break;
            case 7:
                bus.MmioWrite(ScriptedMachine.LocalApic + 0x3E0, 4, hash >> 32 & 0xB);
                break;
            case 8 or 9:
                // Only a guest that something can wake may sleep.
                bus.WriteCr8(0);
                ScriptedMachine.ArmTimer(bus, 1 + (uint)(hash >> 32) % 3000);
                return ScriptedStep.Halt;
            default:
                break;
        }
        return ScriptedStep.Next;
    }

    private static MachineConfig Config => new() { MemoryBytes = 2 << 20 };

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public void Replay_in_other_quanta_equals_the_recording(int seed)
    {
        var log = new List<(ulong, InputEvent)>();
        using var live = new ScriptedMachine(Restless, Config);
        var recorded = RecordReplay.Record(live.Machine, seed, IcountMax, log);
        Assert.True(log.Count > 100 && recorded.Effects.Count > 500 && live.Cpu.Interrupts.Count > 50,
            $"seed {seed}: {log.Count} inputs, {recorded.Effects.Count} effects, {live.Cpu.Interrupts.Count} interrupts");

        using var replayed = new ScriptedMachine(Restless, Config);
        var uncut = RecordReplay.Replay(replayed.Machine, null, IcountMax, log);
        Assert.Equal(live.Cpu.Interrupts, replayed.Cpu.Interrupts);
        Assert.Equal(recorded.Effects, uncut.Effects);
        Assert.Equal(recorded.Digest, uncut.Digest);

        using var other = new ScriptedMachine(Restless, Config);
        var cut = RecordReplay.Replay(other.Machine, new Random(seed + 1000), IcountMax, log);
        Assert.Equal(live.Cpu.Interrupts, other.Cpu.Interrupts);
        Assert.Equal(recorded.Effects, cut.Effects);
        Assert.Equal(recorded.Digest, cut.Digest);
    }
}
