using System.ComponentModel;
using System.Diagnostics;

namespace FtAkka.GuestKit;

/// <summary>Runs a program of the host to its end and gives what it wrote.</summary>
/// <param name="ExitCode">The program's exit status.</param>
/// <param name="Output">Everything written to standard output.</param>
/// <param name="Error">Everything written to standard error.</param>
public sealed record HostCommand(int ExitCode, string Output, string Error)
{
    /// <summary>Last lines of what the program complained about, for an error message.</summary>
    public string Complaint => string.Join(
        Environment.NewLine,
        (Error.Length > 0 ? Error : Output).Split('\n', StringSplitOptions.RemoveEmptyEntries).TakeLast(8));

    /// <summary>Runs a program with an empty standard input and the C locale; throws nothing for a non-zero status.</summary>
    /// <exception cref="GuestKitException">The program does not exist on this host.</exception>
    public static HostCommand Run(string program, IEnumerable<string> arguments, string? workingFolder = null)
    {
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = workingFolder ?? string.Empty,
        };
        start.Environment["LC_ALL"] = "C";
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        try
        {
            using Process process = Process.Start(start)!;
            process.StandardInput.Close();
            Task<string> error = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return new HostCommand(process.ExitCode, output, error.GetAwaiter().GetResult());
        }
        catch (Win32Exception notFound)
        {
            throw new GuestKitException($"this host has no program {program}", notFound);
        }
    }

    /// <summary>Runs a program that must succeed.</summary>
    /// <exception cref="GuestKitException">It is missing or ends with another status than zero.</exception>
    public static string RunChecked(string program, IEnumerable<string> arguments, string? workingFolder = null)
    {
        HostCommand result = Run(program, arguments, workingFolder);
        return result.ExitCode == 0
            ? result.Output
            : throw new GuestKitException($"{program} failed with status {result.ExitCode}:{Environment.NewLine}{result.Complaint}");
    }
}
