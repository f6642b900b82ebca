namespace FtAkka.Machine.Interrupts;

/// <summary>An interrupt on its way from the IOAPIC to a local APIC.</summary>
/// <param name="Destination">APIC ID (physical) or message destination address (logical), 8 bits.</param>
/// <param name="Logical">Whether <paramref name="Destination"/> is logical.</param>
/// <param name="Mode">How to deliver.</param>
/// <param name="Vector">Vector for fixed and lowest-priority delivery.</param>
/// <param name="LevelTriggered">Whether its EOI is to be told to the IOAPIC.</param>
public readonly record struct InterruptMessage(byte Destination, bool Logical, DeliveryMode Mode, byte Vector, bool LevelTriggered);
