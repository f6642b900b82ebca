using System.Globalization;
using System.Text;
using FtAkka.Cpu.Decoding;
using Iced.Intel;

namespace FtAkka.Cpu.Tests.Decoding;

public class InstructionPolicyTests
{
    private const string UpdateVariable = "FTAKKA_UPDATE_GOLDEN";

    [Fact]
    public void Every_code_has_the_rule_that_was_reviewed()
    {
        string goldenPath = Path.Combine(FindRepository(), "tests", "Cpu.Tests", "Decoding", "InstructionPolicy.golden.txt");
        string actual = Listing();
        if (Environment.GetEnvironmentVariable(UpdateVariable) == "1")
        {
            File.WriteAllText(goldenPath, actual);
        }
        string[] expectedLines = File.ReadAllText(goldenPath).Split('\n');
        string[] actualLines = actual.Split('\n');
        var differences = actualLines.Except(expectedLines).Select(line => "+ " + line)
            .Concat(expectedLines.Except(actualLines).Select(line => "- " + line)).ToList();
        Assert.True(differences.Count == 0 && actual == string.Join('\n', expectedLines),
            $"The whitelist changed. Review, then run with {UpdateVariable}=1 to accept:\n" + string.Join('\n', differences.Take(50)));
    }

    [Fact]
    public void Every_code_the_decoder_can_produce_is_listed_once()
    {
        string[] names = Listing().Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Where(line => line[0] != '#').Select(line => line.Split(' ')[0]).ToArray();
        Assert.Equal(Enum.GetNames<Code>(), names);
    }

    [Theory]
    [InlineData("0F A2", InstructionClass.Special)] // CPUID
    [InlineData("0F 31", InstructionClass.Special)] // RDTSC
    [InlineData("0F 01 F9", InstructionClass.Special)] // RDTSCP
    [InlineData("0F 01 E0", InstructionClass.Special)] // SMSW
    [InlineData("0F 01 00", InstructionClass.Special)] // SGDT
    [InlineData("0F 00 C8", InstructionClass.Special)] // STR
    [InlineData("0F 02 C1", InstructionClass.Special)] // LAR
    [InlineData("8C D8", InstructionClass.Special)] // MOV EAX, DS
    [InlineData("8E E0", InstructionClass.Special)] // MOV FS, EAX
    [InlineData("0F A0", InstructionClass.Special)] // PUSH FS
    [InlineData("F3 48 0F AE C0", InstructionClass.Special)] // RDFSBASE
    [InlineData("9C", InstructionClass.Special)] // PUSHFQ
    [InlineData("FF 28", InstructionClass.Special)] // JMP FAR
    [InlineData("F3 48 A5", InstructionClass.Special)] // REP MOVSQ
    [InlineData("A5", InstructionClass.Special)] // MOVSD, the string one
    [InlineData("F2 0F 10 C1", InstructionClass.Reemit)] // MOVSD, the SSE2 one
    [InlineData("D9 38", InstructionClass.Special)] // FNSTCW
    [InlineData("DD 38", InstructionClass.Reemit)] // FNSTSW
    [InlineData("0F 0B", InstructionClass.Undefined)] // UD2
    [InlineData("0F B9 C0", InstructionClass.Undefined)] // UD1
    [InlineData("0F FF C0", InstructionClass.Undefined)] // UD0
    [InlineData("0F C7 F0", InstructionClass.Undefined)] // RDRAND
    [InlineData("0F C7 F8", InstructionClass.Undefined)] // RDSEED
    [InlineData("F3 0F C7 F8", InstructionClass.Undefined)] // RDPID
    [InlineData("0F 01 D0", InstructionClass.Undefined)] // XGETBV
    [InlineData("0F 01 EE", InstructionClass.Undefined)] // RDPKRU
    [InlineData("0F 01 E8", InstructionClass.Undefined)] // SERIALIZE
    [InlineData("0F AE 20", InstructionClass.Undefined)] // XSAVE
    [InlineData("F3 0F AE E0", InstructionClass.Undefined)] // PTWRITE
    [InlineData("66 0F 38 F8 00", InstructionClass.Undefined)] // MOVDIR64B
    [InlineData("66 0F AE F0", InstructionClass.Undefined)] // TPAUSE
    [InlineData("C7 F8 00 00 00 00", InstructionClass.Undefined)] // XBEGIN
    [InlineData("0F 01 C8", InstructionClass.Undefined)] // MONITOR
    [InlineData("C5 F8 58 C1", InstructionClass.Undefined)] // VADDPS
    [InlineData("62 F1 7C 48 58 C1", InstructionClass.Undefined)] // VADDPS zmm
    [InlineData("0F 0F C1 9E", InstructionClass.Undefined)] // PFADD (3DNow!)
    [InlineData("66 0F 38 CF C1", InstructionClass.Undefined)] // GF2P8MULB
    [InlineData("66 0F 79 C1", InstructionClass.Undefined)] // EXTRQ (SSE4A)
    [InlineData("F3 0F 1E FA", InstructionClass.Reemit)] // ENDBR64
    [InlineData("F3 48 0F 1E C8", InstructionClass.Reemit)] // RDSSPQ
    [InlineData("F3 48 0F AE E8", InstructionClass.Undefined)] // INCSSPQ
    [InlineData("0F 18 08", InstructionClass.Reemit)] // PREFETCHT0
    [InlineData("C4 E2 F3 F7 C2", InstructionClass.Reemit)] // SHRX
    [InlineData("48 F7 F1", InstructionClass.Emit)] // DIV
    [InlineData("48 0F A3 08", InstructionClass.Emit)] // BT [rax], rcx
    [InlineData("27", InstructionClass.Undefined)] // DAA: not in 64-bit mode
    [InlineData("9A 00 00 00 00 00 00", InstructionClass.Undefined)] // CALL FAR ptr16:32: not in 64-bit mode
    [InlineData("F0 01 C8", InstructionClass.Undefined)] // LOCK ADD EAX, ECX: LOCK needs a memory destination
    [InlineData("F0 8B 00", InstructionClass.Undefined)] // LOCK MOV
    public void Class_of_encoding(string bytes, object expected)
    {
        Assert.Equal((InstructionClass)expected, InstructionPolicy.ClassOf(Decode(bytes).Code));
    }

    [Theory]
    [InlineData("0F 28 00", 16)] // MOVAPS
    [InlineData("0F 10 00", 1)] // MOVUPS
    [InlineData("66 0F FE 00", 16)] // PADDD
    [InlineData("0F FE 00", 1)] // PADDD mm
    [InlineData("F2 0F 58 00", 1)] // ADDSD
    [InlineData("66 0F 3A 63 00 00", 1)] // PCMPISTRI
    [InlineData("66 0F 38 DC 00", 16)] // AESENC
    [InlineData("66 0F 38 20 00", 1)] // PMOVSXBW
    [InlineData("48 0F C7 08", 16)] // CMPXCHG16B
    [InlineData("0F C7 08", 1)] // CMPXCHG8B
    public void Alignment_of_memory_operand(string bytes, int expected)
    {
        Assert.Equal(expected, InstructionPolicy.Of(Decode(bytes).Code).Alignment);
    }

    [Theory]
    [InlineData("0F 18 08", InstructionTraits.Nop)]
    [InlineData("48 8D 00", InstructionTraits.AddressOnly)]
    [InlineData("D8 C1", InstructionTraits.FpuCheck)]
    [InlineData("0F FE C1", InstructionTraits.FpuCheck | InstructionTraits.Mmx)]
    [InlineData("66 0F 2A C1", InstructionTraits.FpuCheck | InstructionTraits.Mmx | InstructionTraits.SseCheck)] // CVTPI2PD
    [InlineData("DF E0", InstructionTraits.FpuCheck | InstructionTraits.NoPendingFpuError)] // FNSTSW AX
    [InlineData("9B", InstructionTraits.FpuCheck | InstructionTraits.FpuWait)]
    [InlineData("0F AE 10", InstructionTraits.SseCheck)] // LDMXCSR
    [InlineData("F2 0F 58 C1", InstructionTraits.SseCheck | InstructionTraits.SimdError)] // ADDSD
    [InlineData("F3 0F 53 C1", InstructionTraits.SseCheck | InstructionTraits.HostFamilyDependent)] // RCPSS
    [InlineData("48 D3 E0", InstructionTraits.ImplicitRcx)] // SHL RAX, CL
    [InlineData("0F C7 08", InstructionTraits.ImplicitRcx | InstructionTraits.Lockable)] // CMPXCHG8B
    [InlineData("0F C3 08", InstructionTraits.None)] // MOVNTI: no SSE check (vol. 3A, 13.6)
    [InlineData("0F AE F0", InstructionTraits.None)] // MFENCE
    [InlineData("48 0F AB 08", InstructionTraits.BitString | InstructionTraits.Lockable)] // BTS [rax], rcx
    [InlineData("E8 00 00 00 00", InstructionTraits.Transfer)]
    [InlineData("FA", InstructionTraits.Transfer)] // CLI
    [InlineData("0F 22 D8", InstructionTraits.Transfer | InstructionTraits.Privileged)] // MOV CR3, RAX
    public void Traits_of_encoding(string bytes, object expected)
    {
        Assert.Equal((InstructionTraits)expected, InstructionPolicy.Of(Decode(bytes).Code).Traits);
    }

    [Fact]
    public void A_model_without_a_feature_does_not_know_its_instructions()
    {
        const InstructionFeatures WithoutAes = InstructionFeatures.Ftvm64V1 & ~InstructionFeatures.Aes;
        Assert.Equal(InstructionClass.Undefined, InstructionPolicy.ClassOf(Code.Aesenc_xmm_xmmm128, WithoutAes));
        Assert.Equal(InstructionClass.Reemit, InstructionPolicy.ClassOf(Code.Aesenc_xmm_xmmm128, InstructionFeatures.Ftvm64V1));
        Assert.Equal(InstructionClass.Undefined, InstructionPolicy.ClassOf(Code.Stac, InstructionFeatures.Ftvm64V1));
    }

    [Fact]
    public void Meaningless_prefixes_are_stripped_before_emission()
    {
        Instruction instruction = Decode("F2 F0 01 08"); // XACQUIRE LOCK ADD [rax], ecx: would start an elided transaction on a host with HLE
        InstructionPolicy.StripPrefixes(ref instruction);
        Assert.False(instruction.HasXacquirePrefix);
        Assert.True(instruction.HasLockPrefix);
        instruction = Decode("64 8B 00");
        InstructionPolicy.StripPrefixes(ref instruction);
        Assert.Equal(Register.FS, instruction.SegmentPrefix);
    }

    /// <summary>One line per code: class, features, traits, memory operand (access, bytes, alignment), undefined flags.</summary>
    private static string Listing()
    {
        var text = new StringBuilder("# code class features traits memory undefined-flags; written by InstructionPolicyTests\n");
        foreach (Code code in Enum.GetValues<Code>())
        {
            ref readonly InstructionRule rule = ref InstructionPolicy.Of(code);
            text.Append(code).Append(' ').Append(rule.Class);
            if (rule.Class != InstructionClass.Undefined)
            {
                string memory = rule.Access == OperandAccess.None
                    ? "-" : string.Create(CultureInfo.InvariantCulture, $"{rule.Access}:{rule.MemoryBytes}:{rule.Alignment}");
                text.Append(' ').Append(Join(rule.Features.ToString())).Append(' ').Append(Join(rule.Traits.ToString()))
                    .Append(' ').Append(memory).Append(CultureInfo.InvariantCulture, $" {rule.UndefinedFlags:x3}");
            }
            text.Append('\n');
        }
        return text.ToString();
    }

    private static string Join(string flags) => flags == "None" ? "-" : flags.Replace(", ", "+", StringComparison.Ordinal);

    private static Instruction Decode(string hex) =>
        Iced.Intel.Decoder.Create(64, Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal)), InstructionPolicy.DecoderOptions).Decode();

    private static string FindRepository()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "FtAkka.sln")))
        {
            directory = Path.GetDirectoryName(directory);
        }
        return directory ?? throw new InvalidOperationException("The tests run outside the repository.");
    }
}
