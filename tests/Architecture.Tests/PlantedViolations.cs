using System.Runtime.InteropServices;

namespace FtAkka.Architecture.Tests;

/// <summary>
/// Does what the rules forbid, in the forms that an analyzer misses too: a banned type that is only a parameter, a hashed collection
/// that is only walked. Never called.
/// </summary>
internal static class PlantedViolations
{
    public static Type UsesTheHost => typeof(VmmHost.Cli.ExitCode);

    public static void Signature(DateTime time, Random random, Task task, Stream stream)
    {
        _ = (time, random, task, stream);
    }

    public static string Members(string text) => $"{Environment.MachineName} {text.GetHashCode(StringComparison.Ordinal)}";

    public static int HashedOrder(Dictionary<string, int> numbers, HashSet<int> set)
    {
        int sum = 0;
        foreach (KeyValuePair<string, int> pair in numbers)
        {
            sum = (sum * 31) + pair.Value;
        }
        foreach (int number in set)
        {
            sum = (sum * 31) + number;
        }
        return sum + numbers.Values.First();
    }

    [DllImport("libc", EntryPoint = "getpid")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static extern int NativeFunction();
}
