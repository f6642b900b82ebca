namespace FtAkka.Machine.Bus;

/// <summary>
/// One interrupt wire from a device to an interrupt controller pin. A level-triggered device holds it asserted while it has
/// something to say; an edge-triggered device asserts it at the moment of the event. Driving it to its present level has no effect.
/// </summary>
public interface IInterruptLine
{
    /// <summary>Drives the wire.</summary>
    void Drive(bool asserted);
}
