using System.Xml.Linq;

namespace FtAkka.Architecture.Tests;

/// <summary>Rules on project files. Each returns the violations as sentences; an empty list is a pass.</summary>
internal static class ProjectRules
{
    public static IEnumerable<string> References(string project, XDocument file)
    {
        string[] allowed = Layers.AllowedReferences.GetValueOrDefault(project, []);
        return from name in Includes(file, "ProjectReference").Select(path => Path.GetFileNameWithoutExtension(path.Replace('\\', '/')))
               where !allowed.Contains(name)
               select $"{project} must not reference the project {name} (allowed: {string.Join(", ", allowed)})";
    }

    public static IEnumerable<string> Packages(string project, XDocument file) =>
        from package in Includes(file, "PackageReference").Concat(Includes(file, "Reference"))
        from guarded in Layers.GuardedPackages
        where IsFamily(package, guarded.Package) && !guarded.Projects.Contains(project)
        select $"{project} must not reference the package {package} (allowed in: {string.Join(", ", guarded.Projects)})";

    public static IEnumerable<string> Unsafe(string project, XDocument file)
    {
        bool allows = file.Descendants("AllowUnsafeBlocks").Any(element => string.Equals(element.Value.Trim(), "true", StringComparison.OrdinalIgnoreCase));
        if (allows && project != Layers.UnsafeProject)
        {
            yield return $"{project} must not allow unsafe code (only {Layers.UnsafeProject} may)";
        }
    }

    public static IEnumerable<string> Readme(string project, string? text)
    {
        if (text is null)
        {
            yield return $"src/{project} has no README.md";
            yield break;
        }
        foreach (string phrase in new[] { "May reference:", "Must not reference:" })
        {
            if (!text.Contains(phrase, StringComparison.Ordinal))
            {
                yield return $"src/{project}/README.md does not say '{phrase}'";
            }
        }
    }

    /// <summary>True for the package itself and for what is named below it: Akka, Akka.Remote; not FtAkka, not Akkadian.</summary>
    public static bool IsFamily(string name, string family) =>
        name == family || name.StartsWith(family + ".", StringComparison.Ordinal);

    private static IEnumerable<string> Includes(XDocument file, string item) =>
        file.Descendants(item)
            .SelectMany(element => (element.Attribute("Include")?.Value ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
}
