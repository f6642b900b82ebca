using Akka.TestKit.Xunit2;

namespace FtAkka.DeviceActors.Tests;

/// <summary>A test kit whose expectations wait longer than a busy host can keep a thread waiting. What comes in time costs nothing.</summary>
public abstract class PatientTestKit : TestKit
{
    protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>The same for what reads from a socket.</summary>
    protected const int PatienceMilliseconds = 60_000;

    protected PatientTestKit()
        : base("akka.test { single-expect-default = 60s, default-timeout = 60s }")
    {
    }
}
