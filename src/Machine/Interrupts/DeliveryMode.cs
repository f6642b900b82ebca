namespace FtAkka.Machine.Interrupts;

/// <summary>Delivery mode of an interrupt message or LVT entry (Intel SDM vol. 3A, 11.5.1 and 11.6.1).</summary>
public enum DeliveryMode
{
    Fixed = 0,
    LowestPriority = 1,
    Smi = 2,
    Reserved = 3,
    Nmi = 4,
    Init = 5,
    StartUp = 6,
    ExtInt = 7,
}
