namespace FtAkka.VmmHost.Cli;

/// <summary>What the process tells its caller. The values are part of the command line's contract.</summary>
public static class ExitCode
{
    /// <summary>The verb did what was asked.</summary>
    public const int Ok = 0;

    /// <summary>The verb was understood and failed; the reason is on standard error.</summary>
    public const int Failed = 1;

    /// <summary>The command line was not understood; nothing was done.</summary>
    public const int Usage = 2;

    /// <summary>The guest ended otherwise than by switching itself off: reset, panic, triple fault.</summary>
    public const int GuestCrashed = 3;
}
