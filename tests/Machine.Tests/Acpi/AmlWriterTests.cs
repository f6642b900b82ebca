using FtAkka.Machine.Acpi;

namespace FtAkka.Machine.Tests.Acpi;

/// <summary>AML encoding, byte by byte (ACPI 6.5, chapter 20).</summary>
public sealed class AmlWriterTests
{
    private static string Hex(AmlWriter aml) => Convert.ToHexString(aml.ToArray());

    [Theory]
    [InlineData(0UL, "00")]
    [InlineData(1UL, "01")]
    [InlineData(2UL, "0A02")]
    [InlineData(0x1234UL, "0B3412")]
    [InlineData(0x1234_5678UL, "0C78563412")]
    [InlineData(0x1_0000_0000UL, "0E0000000001000000")]
    public void Section_20_2_3_integers_take_the_shortest_form(ulong value, string encoded) =>
        Assert.Equal("08" + "5F554944" + encoded, Hex(new AmlWriter().Name("_UID", value)));

    [Fact]
    public void Section_20_2_2_short_names_are_padded_and_root_names_prefixed() =>
        Assert.Equal("08" + "5C5F53355F" + "01", Hex(new AmlWriter().Name("\\_S5", 1)));

    [Fact]
    public void Section_20_2_5_2_device_with_string_id() =>
        Assert.Equal("5B82" + "14" + "56523030" + "08" + "5F484944" + "0D" + "4C4E524F3030303500",
            Hex(new AmlWriter().Device("VR00", d => d.Name("_HID", "LNRO0005"))));

    [Fact]
    public void Section_20_2_5_4_package_of_integers() =>
        Assert.Equal("08" + "5F53355F" + "12" + "07" + "04" + "0A05" + "000000", Hex(new AmlWriter().Name("_S5", [5, 0, 0, 0])));

    [Theory]
    [InlineData(50, 1, 0x37)]
    [InlineData(58, 1, 0x3F)]
    [InlineData(59, 2, 0x41)]
    public void Section_20_2_4_package_length_counts_itself_and_grows(int characters, int fieldBytes, byte first)
    {
        // A name operator in a scope takes 5 bytes, the string 2 more; the scope's own name stands after the length.
        var text = new string('x', characters - 7);
        var aml = new AmlWriter().Scope("ABCD", s => s.Name("EFGH", text)).ToArray();
        Assert.Equal(first, aml[1]);
        Assert.Equal(1 + fieldBytes + 4 + characters, aml.Length);
        var length = fieldBytes == 1 ? aml[1] : aml[1] & 0xF | aml[2] << 4;
        Assert.Equal(aml.Length - 1, length);
    }

    [Theory]
    [InlineData("PNP0501", 0x0105_D041U)]
    [InlineData("PNP0B00", 0x000B_D041U)]
    public void Section_19_3_4_eisa_identifiers(string id, uint encoded) => Assert.Equal(encoded, AmlWriter.EisaId(id));

    [Fact]
    public void Section_6_4_resource_descriptors()
    {
        var template = new ResourceTemplate().Memory32Fixed(0xFEB0_0000, 0x1000).InterruptLevelHigh(16).Ports(0x3F8, 8).Irq(4);
        Assert.Equal(
            "8609000100" + "00B0FE" + "00100000" + "89060001" + "01" + "10000000" + "4701F803F8030108" + "221000" + "7900",
            Convert.ToHexString(template.ToArray()));
    }
}
