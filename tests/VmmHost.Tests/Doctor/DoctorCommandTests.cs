using System.Text.Json;
using FtAkka.VmmHost.Cli;
using FtAkka.VmmHost.Doctor;

namespace FtAkka.VmmHost.Tests.Doctor;

public sealed class DoctorCommandTests
{
    private static readonly HostCheck Fine = new("cpu", CheckNeed.Required, "guests", "buy one", () => Finding.Ok("fast [x]"));
    private static readonly HostCheck NoTap = new("tap", CheckNeed.Optional, "networks", "run as root", () => Finding.Missing("denied"));
    private static readonly HostCheck NoMemory = new("memory", CheckNeed.Required, "guests", "add some", () => Finding.Missing("1 MiB"));
    private static readonly HostCheck Breaks = new("gcc", CheckNeed.Optional, "tools", "install it", () => throw new IOException("disk gone"));

    private readonly StringWriter output = new();

    [Fact]
    public async Task Report_is_plain_text_with_remedies_for_what_is_missing_only()
    {
        Assert.Equal(ExitCode.Ok, await Run([Fine, NoTap]));
        Assert.Equal(
            """
            ok       cpu  fast [x]
            missing  tap  denied
                          needed for: networks
                          to get it:  run as root
            This host can run guests; 1 optional things are missing.

            """.ReplaceLineEndings("\n"),
            output.ToString());
    }

    [Fact]
    public async Task Missing_requirement_fails()
    {
        Assert.Equal(ExitCode.Failed, await Run([Fine, NoMemory]));
        Assert.Contains("MISSING  memory  1 MiB", output.ToString(), StringComparison.Ordinal);
        Assert.EndsWith("This host cannot run guests: see MISSING above.\n", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_that_breaks_is_a_finding()
    {
        Assert.Equal(ExitCode.Ok, await Run([Fine, Breaks]));
        Assert.Contains("disk gone", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Json_has_every_check()
    {
        Assert.Equal(ExitCode.Failed, await Run([Fine, NoTap, NoMemory], "--json"));
        using var document = JsonDocument.Parse(output.ToString());
        Assert.False(document.RootElement.GetProperty("canRunGuests").GetBoolean());
        JsonElement tap = document.RootElement.GetProperty("checks")[1];
        Assert.Equal("optional", tap.GetProperty("need").GetString());
        Assert.Equal("missing", tap.GetProperty("status").GetString());
        Assert.Equal("run as root", tap.GetProperty("remedy").GetString());
    }

    [Fact]
    public void Host_that_runs_these_tests_has_what_every_guest_needs() =>
        Assert.DoesNotContain(HostChecks.All.Select(check => check.Run()), result => result is { Need: CheckNeed.Required, Status: CheckStatus.Missing });

    private Task<int> Run(IReadOnlyList<HostCheck> checks, params string[] arguments) =>
        new CommandLineApplication([new DoctorCommand(checks)], output, TextWriter.Null).RunAsync(["doctor", .. arguments]);
}
