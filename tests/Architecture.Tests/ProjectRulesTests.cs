using System.Xml.Linq;

namespace FtAkka.Architecture.Tests;

/// <summary>The tree keeps the rules on project files, and each rule sees a violation planted for it.</summary>
public sealed class ProjectRulesTests
{
    public static TheoryData<string> Projects => [.. SourceTree.SourceProjects];

    [Theory]
    [MemberData(nameof(Projects))]
    public void Project_references_point_down(string project) =>
        Violations.None(ProjectRules.References(project, SourceTree.SourceProject(project)));

    [Theory]
    [MemberData(nameof(Projects))]
    public void Guarded_packages_are_referenced_only_where_allowed(string project) =>
        Violations.None(ProjectRules.Packages(project, SourceTree.SourceProject(project)));

    [Theory]
    [MemberData(nameof(Projects))]
    public void Unsafe_code_is_allowed_in_Cpu_only(string project) =>
        Violations.None(ProjectRules.Unsafe(project, SourceTree.SourceProject(project)));

    [Theory]
    [MemberData(nameof(Projects))]
    public void Every_project_has_a_readme_that_says_what_it_may_reference(string project)
    {
        string path = Path.Combine(SourceTree.Root, "src", project, "README.md");
        Violations.None(ProjectRules.Readme(project, File.Exists(path) ? File.ReadAllText(path) : null));
    }

    [Fact]
    public void Layer_table_names_exactly_the_projects_under_src() =>
        Assert.Equal(SourceTree.SourceProjects, Layers.AllowedReferences.Keys.Order(StringComparer.Ordinal));

    [Fact]
    public void Word_Akka_stands_in_the_project_files_of_the_shells_only()
    {
        string[] naming = [.. SourceTree.SourceProjects.Where(name => SourceTree.SourceProject(name).ToString().Contains("Akka", StringComparison.Ordinal))];
        Assert.Equal(["Actors", "DeterministicSim", "DeviceActors", "LogChannelActors", "Nodes", "VmmHost"], naming);
    }

    [Fact]
    public void Solution_has_every_project_so_that_dotnet_test_runs_all()
    {
        string solution = File.ReadAllText(Path.Combine(SourceTree.Root, "FtAkka.sln")).Replace('\\', '/');
        Assert.DoesNotContain(SourceTree.ProjectFiles, file => !solution.Contains($"\"{file}\"", StringComparison.Ordinal));
    }

    [Fact]
    public void Every_source_project_has_tests() =>
        Assert.DoesNotContain(SourceTree.SourceProjects, name => !SourceTree.ProjectFiles.Contains($"tests/{name}.Tests/{name}.Tests.csproj"));

    [Fact]
    public void Planted_upward_reference_is_seen()
    {
        XDocument machine = ProjectWith("""<ProjectReference Include="..\Actors\Actors.csproj" />""");
        Assert.Equal(["Machine must not reference the project Actors (allowed: Cpu)"], ProjectRules.References("Machine", machine));
    }

    [Fact]
    public void Planted_unknown_project_may_reference_nothing()
    {
        XDocument unknown = ProjectWith("""<ProjectReference Include="../Cpu/Cpu.csproj" />""");
        Assert.Equal(["Sidecar must not reference the project Cpu (allowed: )"], ProjectRules.References("Sidecar", unknown));
    }

    [Theory]
    [InlineData("Akka", "Replication")]
    [InlineData("Akka.Remote", "Machine")]
    [InlineData("Iced", "Machine")]
    [InlineData("MessagePack", "LogChannelActors")]
    [InlineData("MessagePack.Annotations", "Actors")]
    public void Planted_package_in_the_wrong_project_is_seen(string package, string project)
    {
        string violation = Assert.Single(ProjectRules.Packages(project, ProjectWith($"""<PackageReference Include="Spectre.Console;{package}" />""")));
        Assert.StartsWith($"{project} must not reference the package {package} ", violation, StringComparison.Ordinal);
    }

    [Fact]
    public void Planted_unsafe_project_is_seen()
    {
        XDocument machine = XDocument.Parse("<Project><PropertyGroup><AllowUnsafeBlocks>True</AllowUnsafeBlocks></PropertyGroup></Project>");
        Assert.Equal(["Machine must not allow unsafe code (only Cpu may)"], ProjectRules.Unsafe("Machine", machine));
        Assert.Empty(ProjectRules.Unsafe("Cpu", machine));
    }

    [Fact]
    public void Planted_poor_readme_is_seen()
    {
        Assert.Equal(["src/X has no README.md"], ProjectRules.Readme("X", null));
        Assert.Equal(["src/X/README.md does not say 'Must not reference:'"], ProjectRules.Readme("X", "# X\nMay reference: nothing."));
    }

    private static XDocument ProjectWith(string item) => XDocument.Parse($"<Project><ItemGroup>{item}</ItemGroup></Project>");
}
