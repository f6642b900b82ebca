namespace FtAkka.VmmHost.Doctor;

/// <summary>What FtAkka cannot do without a thing that a check looks for.</summary>
public enum CheckNeed
{
    /// <summary>Without it no guest runs.</summary>
    Required,

    /// <summary>Without it one named feature is not available.</summary>
    Optional,
}

/// <summary>What a check found.</summary>
public enum CheckStatus
{
    /// <summary>There, and tried where trying is harmless.</summary>
    Ok,

    /// <summary>Not there or not usable.</summary>
    Missing,
}

/// <summary>One line of the doctor's report.</summary>
/// <param name="Name">What was looked for.</param>
/// <param name="Need">Whether guests run without it.</param>
/// <param name="Status">What was found.</param>
/// <param name="Found">The finding in words: figures, versions, or why it is unusable.</param>
/// <param name="NeededFor">What it is needed for.</param>
/// <param name="Remedy">How to get it; empty when nothing is to be done.</param>
public sealed record CheckResult(string Name, CheckNeed Need, CheckStatus Status, string Found, string NeededFor, string Remedy);

/// <summary>One thing to look for on the host.</summary>
/// <param name="Name">What is looked for, in a word or two.</param>
/// <param name="Need">Whether guests run without it.</param>
/// <param name="NeededFor">What it is needed for.</param>
/// <param name="Remedy">How to get it.</param>
/// <param name="Look">Looks. A finding without a problem, or the problem.</param>
public sealed record HostCheck(string Name, CheckNeed Need, string NeededFor, string Remedy, Func<Finding> Look)
{
    /// <summary>Looks and reports. What goes wrong while looking is a finding, not an exception.</summary>
    public CheckResult Run()
    {
        Finding finding;
        try
        {
            finding = Look();
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException or InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            finding = Finding.Missing(problem.Message);
        }
        CheckStatus status = finding.IsOk ? CheckStatus.Ok : CheckStatus.Missing;
        return new CheckResult(Name, Need, status, finding.Text, NeededFor, finding.IsOk ? "" : Remedy);
    }
}

/// <summary>What a look at the host showed.</summary>
/// <param name="IsOk">Whether the thing is there and usable.</param>
/// <param name="Text">The finding in words.</param>
public sealed record Finding(bool IsOk, string Text)
{
    /// <summary>It is there.</summary>
    public static Finding Ok(string text) => new(true, text);

    /// <summary>It is missing or unusable, and why.</summary>
    public static Finding Missing(string text) => new(false, text);
}
