namespace FtAkka.Architecture.Tests;

/// <summary>
/// Who may reference whom, and which packages appear where. This is the table of docs/architecture.md; whoever changes one changes
/// the other.
/// </summary>
internal static class Layers
{
    private static readonly string[] Core = ["Cpu", "Machine", "Replication"];
    private static readonly string[] Shells = ["Actors", "LogChannelActors", "DeviceActors"];

    /// <summary>The FtAkka projects that each project under src may reference. A project that is not listed may not exist.</summary>
    public static IReadOnlyDictionary<string, string[]> AllowedReferences { get; } = new Dictionary<string, string[]>
    {
        ["Cpu"] = [],
        ["Machine"] = ["Cpu"],
        ["Replication"] = ["Cpu", "Machine"],
        ["Recordings"] = Core,
        ["GdbStub"] = [.. Core, "Recordings"],
        ["Actors"] = Core,
        ["LogChannelActors"] = [.. Core, "Actors"],
        ["DeviceActors"] = Core,
        ["Nodes"] = [.. Core, .. Shells],
        ["TinyGuests"] = [],
        ["GuestKit"] = [],
        ["DeterministicSim"] = [.. Core, .. Shells, "Nodes", "TinyGuests", "Recordings"],
        // The host runs the benchmarks under bench/, which are libraries.
        ["VmmHost"] = [.. Core, .. Shells, "Nodes", "TinyGuests", "Recordings", "GdbStub", "GuestKit", "DeterministicSim", "CpuBench", "LinuxBench", "WireBench"],
    };

    /// <summary>The pure projects: see build/BannedSymbols.Pure.txt.</summary>
    public static IReadOnlyList<string> Pure => Core;

    /// <summary>Which projects may reference a package or assembly, by the beginning of its name. Others are free.</summary>
    public static IReadOnlyList<(string Package, string[] Projects)> GuardedPackages { get; } =
    [
        ("Akka", [.. Shells, "Nodes", "DeterministicSim", "VmmHost"]),
        ("Iced", ["Cpu", "TinyGuests"]),
        ("MessagePack", ["Replication"]),
    ];

    /// <summary>The one project with unsafe code.</summary>
    public const string UnsafeProject = "Cpu";

    /// <summary>What one pure project may use although the rule names it, and why that is harmless.</summary>
    public static IReadOnlyList<(string Project, string Use, string Reason)> PureExceptions { get; } =
    [
        ("Cpu", "System.IO.MemoryStream", "Iced's assembler writes to a stream; this one is memory"),
        ("Cpu", "System.IO.Stream", "parameter type of Iced's StreamCodeWriter, given the memory stream above"),
        ("Replication", "System.IO.EndOfStreamException", "MessagePack's reader throws it for bytes that end too early; it becomes a value"),
        ("Replication", "System.IO.Compression.BrotliEncoder", "compresses from span to span, without a stream"),
        ("Replication", "System.IO.Compression.BrotliDecoder", "decompresses from span to span, without a stream"),
        ("Cpu", "System.Collections.Generic.Dictionary`2.get_Values", "a flush marks every block dead; no order can be seen from it"),
    ];

    /// <summary>Native functions that a project may declare. Cpu maps memory; the outer projects are free; the others have none.</summary>
    public static IReadOnlyDictionary<string, string[]> AllowedNativeFunctions { get; } = new Dictionary<string, string[]>
    {
        ["Cpu"] = ["mmap", "munmap", "mprotect", "madvise", "memfd_create", "ftruncate", "close"],
        // Sends without waiting on a socket whose receives wait; .NET has one switch for both.
        ["LogChannelActors"] = ["send"],
        // The arbiter on a shared directory: exclusive creation by link, and fsync of a directory, which .NET has not got. Files that others name: opened without
        // waiting and without following a link, and asked what they are.
        ["Nodes"] = ["link", "open", "fsync", "close", "read", "statx"],
        ["DeviceActors"] = ["*"],
        ["VmmHost"] = ["*"],
    };
}
