namespace FtAkka.Machine;

/// <summary>What a machine does when its guest reboots, switches it off, or has crashed.</summary>
public enum EndPolicy
{
    /// <summary>It ends.</summary>
    Stop,
    /// <summary>It starts again from power-on, with the same kernel; its clock, its instruction count and the positions of its consoles go on.</summary>
    Restart,
    /// <summary>It stands as it is, so that it can be looked at. After a crash only.</summary>
    Hold,
}
