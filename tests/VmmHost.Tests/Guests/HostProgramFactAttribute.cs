using FtAkka.GuestKit;

namespace FtAkka.VmmHost.Tests.Guests;

/// <summary>A test that needs a program of the host, and is reported as skipped where the host has none.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class HostProgramFactAttribute : FactAttribute
{
    public HostProgramFactAttribute(string program)
    {
        if (HostProgram.Find(program) is null)
        {
            Skip = $"this host has no {program}";
        }
    }
}
