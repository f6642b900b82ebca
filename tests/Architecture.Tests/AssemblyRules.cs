namespace FtAkka.Architecture.Tests;

/// <summary>Rules on built assemblies. Each returns the violations as sentences; an empty list is a pass.</summary>
internal static class AssemblyRules
{
    private const string Prefix = "FtAkka.";

    private static readonly string[] BannedNamespaces =
    [
        "System.IO", "System.Net", "System.Threading", "System.Security.Cryptography", "System.Timers", "Microsoft.Win32",
    ];

    private static readonly string[] BannedTypes =
    [
        "System.DateTime", "System.DateTimeOffset", "System.TimeProvider", "System.TimeZoneInfo", "System.Diagnostics.Stopwatch",
        "System.Random", "System.HashCode", "System.Console", "System.Diagnostics.Process", "System.AppContext",
    ];

    private static readonly string[] BannedMembers =
    [
        "System.Guid.NewGuid", "System.String.GetHashCode", "System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode",
        "System.Globalization.CultureInfo.get_CurrentCulture",
    ];

    /// <summary>Types of banned namespaces that do no I/O.</summary>
    private static readonly string[] AllowedTypes = ["System.IO.InvalidDataException", "System.IO.EndOfStreamException"];

    /// <summary>The compiler puts this call into every iterator.</summary>
    private static readonly string[] AllowedMembers = ["System.Environment.get_CurrentManagedThreadId"];

    private static readonly string[] HashedCollections =
    [
        "System.Collections.Generic.Dictionary`2", "System.Collections.Generic.HashSet`1", "System.Collections.Hashtable",
        "System.Collections.Immutable.ImmutableDictionary`2", "System.Collections.Immutable.ImmutableHashSet`1",
        "System.Collections.Frozen.FrozenDictionary`2", "System.Collections.Frozen.FrozenSet`1",
        "System.Collections.Concurrent.ConcurrentDictionary`2",
    ];

    private static readonly string[] OrderRevealing = ["GetEnumerator", "get_Keys", "get_Values", "CopyTo"];

    public static IEnumerable<string> References(AssemblyFacts assembly)
    {
        string project = ProjectOf(assembly);
        string[] allowed = Layers.AllowedReferences.GetValueOrDefault(project, []);
        return from reference in assembly.References
               where reference.StartsWith(Prefix, StringComparison.Ordinal) && !allowed.Contains(reference[Prefix.Length..])
               select $"{assembly.Name} must not use {reference}";
    }

    public static IEnumerable<string> Packages(AssemblyFacts assembly) =>
        from reference in assembly.References
        from guarded in Layers.GuardedPackages
        where ProjectRules.IsFamily(reference, guarded.Package) && !guarded.Projects.Contains(ProjectOf(assembly))
        select $"{assembly.Name} must not use the assembly {reference}";

    public static IEnumerable<string> NativeFunctions(AssemblyFacts assembly)
    {
        string[] allowed = Layers.AllowedNativeFunctions.GetValueOrDefault(ProjectOf(assembly), []);
        return from function in assembly.NativeFunctions
               where !allowed.Contains("*") && !allowed.Contains(function)
               select $"{assembly.Name} must not declare the native function {function}";
    }

    public static IEnumerable<string> Purity(AssemblyFacts assembly)
    {
        IEnumerable<string> types =
            from type in assembly.Types
            where !AllowedTypes.Contains(type) && !IsExcepted(assembly, type)
                && (BannedTypes.Contains(type) || BannedNamespaces.Any(space => type.StartsWith(space + ".", StringComparison.Ordinal)))
            select $"{assembly.Name} is pure and must not mention {type}";
        IEnumerable<string> members =
            from member in assembly.Members
            where !AllowedMembers.Contains(member)
                && (BannedMembers.Contains(member) || member.StartsWith("System.Environment.", StringComparison.Ordinal))
            select $"{assembly.Name} is pure and must not use {member}";
        IEnumerable<string> orders =
            from member in assembly.Members
            from collection in HashedCollections
            from revealing in OrderRevealing
            where member == $"{collection}.{revealing}" && !IsExcepted(assembly, member)
            select $"{assembly.Name} is pure and must not depend on hashed order: {member}";
        return types.Concat(members).Concat(orders).Distinct();
    }

    private static bool IsExcepted(AssemblyFacts assembly, string use) =>
        Layers.PureExceptions.Any(exception => exception.Project == ProjectOf(assembly) && exception.Use == use);

    private static string ProjectOf(AssemblyFacts assembly) =>
        assembly.Name.StartsWith(Prefix, StringComparison.Ordinal) ? assembly.Name[Prefix.Length..] : assembly.Name;
}
