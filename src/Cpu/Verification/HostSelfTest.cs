using System.ComponentModel;
using System.Runtime.Intrinsics.X86;
using FtAkka.Cpu.Decoding;

namespace FtAkka.Cpu.Verification;

/// <summary>
/// Runs instructions whose results the architecture leaves open, but on which all known CPUs agree, and which are therefore left to the host
/// (docs/determinism.md, "What the host decides"). A host on which one comes out otherwise would make replicas and recordings differ from those of other hosts.
/// </summary>
public static partial class HostSelfTest
{
    private sealed record Fact(string Name, byte[] Code, Action<MachineState> Given, Func<MachineState, bool> Holds);

    private static readonly Lazy<string?> s_deviation = new(Look);

    /// <summary>
    /// The first instruction, in words, that does not what all known CPUs do; null if there is none, or if this process cannot run the test (no x86-64, no
    /// executable memory), which is for others to say. Looks once in a process, which takes milliseconds.
    /// </summary>
    public static string? FindDeviation() => s_deviation.Value;

    private static string? Look()
    {
        if (!X86Base.X64.IsSupported || Architecture.HostFeatures.Detect().Count < Architecture.HostFeatures.RequiredByV1.Count)
        {
            return null;
        }
        try
        {
            using var runner = new NativeRunner(segmentBase: false);
            return Facts().FirstOrDefault(fact => !Holds(runner, fact))?.Name;
        }
        catch (Exception refused) when (refused is Win32Exception or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>The names of all facts that do not hold where <paramref name="tamper"/> changes what the host did: for the test of this test.</summary>
    internal static IReadOnlyList<string> DeviationsWith(Action<MachineState> tamper)
    {
        using var runner = new NativeRunner(segmentBase: false);
        return [.. Facts().Where(fact => !Holds(runner, fact, tamper)).Select(fact => fact.Name)];
    }

    /// <summary>How many facts there are.</summary>
    internal static int Count => Facts().Count();

    private static bool Holds(NativeRunner runner, Fact fact, Action<MachineState>? tamper = null)
    {
        var state = new MachineState { Rip = runner.CodeAddress, Fcw = 0x37F, Mxcsr = 0x1F80 };
        state.Gpr[4] = runner.DataAddress + 4096;
        fact.Given(state);
        runner.Run(state, fact.Code, 0);
        tamper?.Invoke(state);
        return fact.Holds(state);
    }

    private static IEnumerable<Fact> Facts() => Logic().Concat(Integers()).Concat(Shifts()).Concat(Vectors()).Concat(Stack());

    private static IEnumerable<Fact> Logic()
    {
        foreach ((string name, byte opcode) in new (string, byte)[] { ("AND", 0x21), ("OR", 0x09), ("XOR", 0x31), ("TEST", 0x85) })
        {
            // rax, rbx
            yield return new Fact($"{name}: AF is clear", [0x48, opcode, 0xD8], state =>
            {
                state.Rflags = FlagEffects.Adjust;
                state.Gpr[0] = 0x0F0F;
                state.Gpr[3] = 0x00FF;
            }, state => (state.Rflags & FlagEffects.Adjust) == 0);
        }
        foreach ((string name, byte opcode) in new (string, byte)[] { ("BT", 0xA3), ("BTS", 0xAB), ("BTR", 0xB3), ("BTC", 0xBB) })
        {
            foreach (uint flags in (uint[])[0, FlagEffects.Status])
            {
                yield return new Fact($"{name}: flags other than CF are as they were", [0x48, 0x0F, opcode, 0xD8], state =>
                {
                    state.Rflags = flags;
                    state.Gpr[0] = 0x5555;
                    state.Gpr[3] = 3;
                }, state => (state.Rflags & (FlagEffects.Status & ~FlagEffects.Carry)) == (flags & ~FlagEffects.Carry));
            }
        }
    }

    private static IEnumerable<Fact> Integers()
    {
        const ulong pattern = 0x1122_3344_5566_7788;
        foreach ((string name, byte opcode) in new (string, byte)[] { ("BSF", 0xBC), ("BSR", 0xBD) })
        {
            foreach (byte prefix in (byte[])[0x66, 0x48])
            {
                // rax, rbx, and rbx is 0
                yield return new Fact($"{name} of zero: the destination is as it was", [prefix, 0x0F, opcode, 0xC3],
                    state => state.Gpr[0] = pattern, state => state.Gpr[0] == pattern);
            }
        }
        const ulong upperRax = 0x1111_1111_0000_0000, upperRbx = 0x2222_2222_0000_0000;
        byte[] compareExchange = [0x0F, 0xB1, 0xCB]; // cmpxchg ebx, ecx
        yield return new Fact("CMPXCHG of 32 bits that are equal: the upper half of RAX is as it was", compareExchange,
            state => (state.Gpr[0], state.Gpr[3], state.Gpr[1]) = (upperRax | 5, upperRbx | 5, 7), state => (state.Gpr[0], state.Gpr[3]) == (upperRax | 5, 7));
        yield return new Fact("CMPXCHG of 32 bits that differ: the upper half of the destination is as it was", compareExchange,
            state => (state.Gpr[0], state.Gpr[3], state.Gpr[1]) = (upperRax | 5, upperRbx | 6, 7), state => (state.Gpr[0], state.Gpr[3]) == (6, upperRbx | 6));
    }

    private static IEnumerable<Fact> Shifts()
    {
        foreach (int width in (int[])[8, 16])
        {
            byte[] prefix = width == 8 ? [0xD2] : [0x66, 0xD3];
            foreach ((string name, byte form) in new (string, byte)[] { ("SHL", 0xE0), ("SHR", 0xE8) })
            {
                for (int count = width; count <= 31; count++)
                {
                    int by = count; // al or ax, whose outermost bits are 1
                    yield return new Fact($"{name} of {width} bits by {count}: CF is the last bit out", [.. prefix, form], state =>
                    {
                        state.Gpr[0] = 0xFFFF;
                        state.Gpr[1] = (ulong)by;
                        state.Rflags = by == width ? 0 : FlagEffects.Carry;
                    }, state => (state.Rflags & FlagEffects.Carry) == (by == width ? FlagEffects.Carry : 0));
                }
            }
        }
    }
}
