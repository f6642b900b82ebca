using FtAkka.Machine.Bus;

namespace FtAkka.Machine.Tests;

/// <summary>An interrupt wire that counts its rising edges.</summary>
internal sealed class RecordingLine : IInterruptLine
{
    public bool Asserted { get; private set; }

    public int RisingEdges { get; private set; }

    public void Drive(bool asserted)
    {
        if (asserted && !Asserted)
            RisingEdges++;
        Asserted = asserted;
    }
}
