namespace FtAkka.Architecture.Tests;

/// <summary>The built assemblies keep the rules, and each rule sees what <see cref="PlantedViolations"/> does.</summary>
public sealed class AssemblyRulesTests
{
    private static readonly AssemblyFacts Planted = AssemblyFacts.Read("FtAkka.Architecture.Tests");

    public static TheoryData<string> Projects => [.. SourceTree.SourceProjects];

    public static TheoryData<string> PureProjects => [.. Layers.Pure];

    [Theory]
    [MemberData(nameof(Projects))]
    public void Assembly_uses_only_what_lies_below_it(string project) => Violations.None(AssemblyRules.References(Facts(project)));

    [Theory]
    [MemberData(nameof(Projects))]
    public void Assembly_uses_guarded_packages_only_where_allowed(string project) => Violations.None(AssemblyRules.Packages(Facts(project)));

    [Theory]
    [MemberData(nameof(Projects))]
    public void Assembly_declares_native_functions_only_where_allowed(string project) => Violations.None(AssemblyRules.NativeFunctions(Facts(project)));

    [Theory]
    [MemberData(nameof(PureProjects))]
    public void Pure_assembly_mentions_no_clock_randomness_thread_IO_or_hashed_order(string project) => Violations.None(AssemblyRules.Purity(Facts(project)));

    [Theory]
    [InlineData("is pure and must not mention System.DateTime")]
    [InlineData("is pure and must not mention System.Random")]
    [InlineData("is pure and must not mention System.Threading.Tasks.Task")]
    [InlineData("is pure and must not mention System.IO.Stream")]
    [InlineData("is pure and must not use System.Environment.get_MachineName")]
    [InlineData("is pure and must not use System.String.GetHashCode")]
    [InlineData("is pure and must not depend on hashed order: System.Collections.Generic.Dictionary`2.GetEnumerator")]
    [InlineData("is pure and must not depend on hashed order: System.Collections.Generic.HashSet`1.GetEnumerator")]
    [InlineData("is pure and must not depend on hashed order: System.Collections.Generic.Dictionary`2.get_Values")]
    public void Planted_impurity_is_seen(string violation) =>
        Assert.Contains($"FtAkka.Architecture.Tests {violation}", AssemblyRules.Purity(Planted));

    [Fact]
    public void Planted_native_function_is_seen() =>
        Assert.Equal(["FtAkka.Architecture.Tests must not declare the native function getpid"], AssemblyRules.NativeFunctions(Planted));

    [Fact]
    public void Planted_use_of_another_assembly_is_seen() =>
        Assert.Contains("FtAkka.Architecture.Tests must not use FtAkka.VmmHost", AssemblyRules.References(Planted));

    private static AssemblyFacts Facts(string project) => AssemblyFacts.Read($"FtAkka.{project}");
}
