using System.Diagnostics;

namespace FtAkka.GuestKit;

/// <summary>Programs of the host, to be looked for or asked.</summary>
public static class HostProgram
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>How a program ended and the first line of what it wrote.</summary>
    public sealed record Result(int ExitCode, string Output, string FirstComplaint);

    /// <summary>Full path of a program, or null when PATH has none of that name.</summary>
    public static string? Find(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => Path.Combine(folder, name))
            .FirstOrDefault(File.Exists);

    /// <summary>Runs a program that answers quickly.</summary>
    /// <exception cref="InvalidOperationException">It did not end in time.</exception>
    /// <exception cref="System.ComponentModel.Win32Exception">There is no such program.</exception>
    public static Result Run(string name, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(name, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["LC_ALL"] = "C";
        using Process process = Process.Start(start) ?? throw new InvalidOperationException($"{name} did not start");
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Patience))
        {
            process.Kill(entireProcessTree: true);
            throw new InvalidOperationException($"{name} did not end within {Patience.TotalSeconds:0} s");
        }
        string complaint = error.GetAwaiter().GetResult().Split('\n', 2)[0].Trim();
        return new Result(process.ExitCode, output.GetAwaiter().GetResult(), complaint);
    }
}
