using System.Diagnostics;
using FtAkka.Machine.Acpi;

namespace FtAkka.Machine.Tests.Acpi;

/// <summary>Marks a test that needs the ACPICA tools (package acpica-tools); it is skipped where they are missing.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class IaslFactAttribute : FactAttribute
{
    /// <summary>Looks for the disassembler on the search path.</summary>
    public IaslFactAttribute()
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        if (!folders.Any(folder => File.Exists(Path.Combine(folder, "iasl"))))
            Skip = "iasl is not installed (package acpica-tools).";
    }
}

/// <summary>The tables as an independent implementation reads them.</summary>
public sealed class DisassemblerTests
{
    private static string Disassemble(string name, byte[] table)
    {
        var folder = Directory.CreateTempSubdirectory("ftakka-acpi");
        try
        {
            File.WriteAllBytes(Path.Combine(folder.FullName, name + ".dat"), table);
            using var process = Process.Start(new ProcessStartInfo("iasl", ["-d", name + ".dat"])
            {
                WorkingDirectory = folder.FullName,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            var log = process.StandardOutput.ReadToEnd() + process.StandardError.ReadToEnd();
            process.WaitForExit();
            Assert.True(process.ExitCode == 0, log);
            Assert.DoesNotContain("rror", log, StringComparison.Ordinal);
            return File.ReadAllText(Path.Combine(folder.FullName, name + ".dsl"));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [IaslFact]
    public void Dsdt_disassembles_to_the_devices_and_their_resources()
    {
        var source = Disassemble("dsdt", AcpiTables.Dsdt([VirtioWindow.At(0), VirtioWindow.At(1)]));
        foreach (var part in (string[])["Scope (\\_SB)", "Device (COM1)", "EisaId (\"PNP0501\")", "0x03F8,", "{4}", "Device (RTC0)", "EisaId (\"PNP0B00\")",
            "Device (VR00)", "Device (VR01)", "\"LNRO0005\"", "0xFEB00000,", "0xFEB01000,",
            "Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive,", "0x00000010,", "0x00000011,", "Name (\\_S5, Package (0x04)"])
            Assert.Contains(part, source, StringComparison.Ordinal);
        Assert.DoesNotContain("Unknown", source, StringComparison.Ordinal);
    }

    [IaslFact]
    public void Fadt_and_madt_disassemble_without_complaint()
    {
        var fadt = Disassemble("facp", AcpiTables.Fadt(0xE_0040));
        Assert.Contains("Hardware Reduced (V5) : 1", fadt, StringComparison.Ordinal);
        Assert.Contains("Reset Register Supported (V2) : 1", fadt, StringComparison.Ordinal);
        Assert.DoesNotContain("Invalid", fadt, StringComparison.Ordinal);
        var madt = Disassemble("apic", AcpiTables.Madt());
        Assert.Contains("Subtable Type : 01 [I/O APIC]", madt, StringComparison.Ordinal);
        Assert.DoesNotContain("Invalid", madt, StringComparison.Ordinal);
    }
}
