namespace FtAkka.VmmHost.Bench;

/// <summary>This program, to be started as another process.</summary>
internal static class OwnProgram
{
    /// <summary>The words that start it; a verb follows.</summary>
    public static IReadOnlyList<string> Words =>
        Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) != "dotnet"
            ? [path]
            : ["dotnet", "exec", typeof(OwnProgram).Assembly.Location];
}
