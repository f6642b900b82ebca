using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using FtAkka.Cpu;
using FtAkka.Cpu.Architecture;
using FtAkka.Machine;

namespace FtAkka.Recordings;

/// <summary>
/// What a recording is of: everything needed to build its machine again, and what people want to know. Stands as JSON in the recording's folder.
/// </summary>
public sealed record RecordingManifest
{
    /// <summary>Version that this program writes.</summary>
    public const int FormatVersion = 2;

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
        // A field that is missing must not silently become a default of a later version.
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
    };

    /// <summary>Version of manifest, log and snapshots together.</summary>
    public required int Version { get; init; }

    /// <summary>Identity, also in the header of every file.</summary>
    public required Guid Recording { get; init; }

    /// <summary>Name of the VM.</summary>
    public required string Vm { get; init; }

    /// <summary>Version of the program that recorded.</summary>
    public required string Program { get; init; }

    /// <summary>When the recording began.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>Name of the CPU model.</summary>
    public required string CpuModel { get; init; }

    /// <summary>
    /// Number of the definitions under which the CPU ran (<see cref="CpuSemantics"/>); a replay runs under the same. Absent, and so 0, in recordings from before
    /// the number. The writer of a recording sets it.
    /// </summary>
    public int Semantics { get; init; }

    /// <summary>Model name of the host's CPU, since some of its results are the guest's (docs/determinism.md).</summary>
    public required string HostCpu { get; init; }

    /// <summary>The hardware.</summary>
    public required MachineConfig Machine { get; init; }

    /// <summary>SHA-256 of the kernel, for people: its bytes are in the first snapshot.</summary>
    public required string KernelSha256 { get; init; }

    /// <summary>SHA-256 of the initial RAM disk; null if there was none.</summary>
    public string? InitrdSha256 { get; init; }

    /// <summary>Instructions between digests; 0: none.</summary>
    public required ulong DigestEvery { get; init; }

    /// <summary>Instructions between keyframes; 0: none but the first.</summary>
    public required ulong KeyframeEvery { get; init; }

    /// <summary>The manifest as the text of its file.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Json) + "\n";

    /// <summary>Reads the text of a manifest.</summary>
    /// <exception cref="RecordingException">It cannot be understood, or asks for something this program has not.</exception>
    public static RecordingManifest FromJson(string text, string file)
    {
        try
        {
            using (var document = JsonDocument.Parse(text))
            {
                if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("version", out JsonElement version)
                    || version.ValueKind != JsonValueKind.Number || !version.TryGetInt32(out int number))
                {
                    throw new RecordingException($"{file}: this is not the manifest of a recording.");
                }
                if (number is < 1 or > FormatVersion)
                {
                    throw new RecordingException(
                        $"{file}: the recording has format version {number}, and this ftakka reads versions 1 to {FormatVersion}: use the one that recorded it{Recorder(document)}.");
                }
            }
            RecordingManifest manifest = JsonSerializer.Deserialize<RecordingManifest>(text, Json)!;
            return manifest.Checked(file);
        }
        catch (JsonException broken)
        {
            throw new RecordingException($"{file}: the manifest cannot be read: {broken.Message}", broken);
        }
    }

    private static string Recorder(JsonDocument document) =>
        document.RootElement.TryGetProperty("program", out JsonElement program) && program.ValueKind == JsonValueKind.String ? $", {program.GetString()}" : "";

    private RecordingManifest Checked(string file)
    {
        MachineConfig machine = Machine with
        {
            Disks = Machine.Disks.IsDefault ? ImmutableArray<FtAkka.Machine.Virtio.Block.BlockOptions>.Empty : Machine.Disks,
            Nics = Machine.Nics.IsDefault ? ImmutableArray<FtAkka.Machine.Virtio.Net.NetOptions>.Empty : Machine.Nics,
        };
        if (Semantics is < 0 or > CpuSemantics.Current)
        {
            throw new RecordingException(
                $"{file}: the recording was made under CPU semantics {Semantics}, and this ftakka knows 0 to {CpuSemantics.Current}: use the one that recorded it, {Program}.");
        }
        if (Semantics == CpuSemantics.MultiplyKeepsFlags && HostCpu.Contains("Intel", StringComparison.OrdinalIgnoreCase))
        {
            throw new RecordingException(
                $"{file}: the recording was made on {HostCpu} before multiplications had defined flags, and would differ now: use the ftakka that recorded it, {Program}, on such a host.");
        }
        if (!FtAkka.Cpu.Architecture.CpuModel.TryGet(CpuModel, out _))
        {
            throw new RecordingException($"{file}: this ftakka has no CPU model '{CpuModel}': use the one that recorded it, {Program}.");
        }
        if (machine.FindError() is { } error)
        {
            throw new RecordingException($"{file}: {error}");
        }
        FtAkka.Cpu.Architecture.CpuModel.TryGet(CpuModel, machine.TscHz, machine.TscTicksPerTimerTick, out CpuModel? model);
        // With a frequency that the machine's own check has passed.
        IReadOnlyList<string> missing = model!.MissingHostFeatures(HostFeatures.Detect());
        return missing.Count == 0
            ? this with { Machine = machine }
            : throw new RecordingException(
                $"{file}: this host's CPU lacks {string.Join(", ", missing)}, which the CPU model '{CpuModel}' needs: replay it on a host that has them, such as {HostCpu}, where it was recorded.");
    }
}
