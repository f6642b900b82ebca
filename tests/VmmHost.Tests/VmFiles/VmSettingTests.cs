using FtAkka.VmmHost.VmFiles;

namespace FtAkka.VmmHost.Tests.VmFiles;

/// <summary>docs/guests.md has every setting of a VM, with its flag and its key.</summary>
public sealed class VmSettingTests
{
    private static readonly string[] Rows = [.. File.ReadLines(Path.Combine(Root(), "docs", "guests.md")).Where(line => line.StartsWith("| `--", StringComparison.Ordinal))];

    public static TheoryData<string> Flags => [.. VmSetting.All.Select(setting => setting.Flag)];

    [Theory]
    [MemberData(nameof(Flags))]
    public void Page_names_flag_and_key_of_each_setting(string flag)
    {
        string row = Assert.Single(Rows, row => row.StartsWith($"| `{flag} ", StringComparison.Ordinal));
        string key = VmSetting.All.Single(setting => setting.Flag == flag).Key;
        Assert.Contains(key.Split('.') is [var group, var field] ? $"| `{group} {{ {field} }}` |" : $"| `{key}", row, StringComparison.Ordinal);
    }

    private static string Root()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "FtAkka.sln")))
        {
            folder = folder.Parent;
        }
        return folder!.FullName;
    }
}
