using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using FtAkka.Machine;
using FtAkka.Machine.Digest;
using FtAkka.Replication.Messages;

namespace FtAkka.Replication.Protection;

/// <summary>
/// What a replica had when a digest was taken, in enough detail to say where two replicas differ: registers, and the hash of each page written
/// since the digest before, which was equal. Pure.
/// </summary>
/// <param name="Icount">When it was taken.</param>
/// <param name="Registers">Names and values, for people.</param>
/// <param name="Pages">In order of addresses.</param>
public sealed record StateWitness(ulong Icount, ImmutableArray<(string Name, string Value)> Registers, ImmutableArray<PageDigest> Pages)
{
    private const int PageBytes = 16;
    private const int DifferencesMax = 64;

    /// <summary>A machine as it is now.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="pages">The pages that the digest covered.</param>
    public static StateWitness Of(GuestMachine machine, IEnumerable<PageDigest> pages)
    {
        ArgumentNullException.ThrowIfNull(machine);
        return new StateWitness(machine.Icount, machine.Vcpu is { } cpu ? [.. cpu.ReadRegisters().Named()] : [], [.. pages]);
    }

    /// <summary>
    /// Where two replicas differ: first the registers, then the pages, in order. Empty if they do not, in which case the difference is in
    /// a device.
    /// </summary>
    public static ImmutableArray<string> Differences(StateWitness primary, StateWitness backup)
    {
        ArgumentNullException.ThrowIfNull(primary);
        ArgumentNullException.ThrowIfNull(backup);
        var differences = ImmutableArray.CreateBuilder<string>();
        foreach (var (name, value) in primary.Registers)
        {
            var other = backup.Registers.FirstOrDefault(register => register.Name == name).Value;
            if (other != value)
                differences.Add($"register {name}: primary {value}, backup {other ?? "none"}");
        }
        var pages = new SortedDictionary<ulong, (ulong? Primary, ulong? Backup)>();
        foreach (var page in primary.Pages)
            pages[page.PhysicalAddress] = (page.Hash, null);
        foreach (var page in backup.Pages)
            pages[page.PhysicalAddress] = (pages.GetValueOrDefault(page.PhysicalAddress).Primary, page.Hash);
        foreach (var (address, (ours, theirs)) in pages)
        {
            if (ours != theirs && differences.Count < DifferencesMax)
                differences.Add($"page 0x{address:x}: hash {Text(ours)} on the primary, {Text(theirs)} on the backup");
        }
        return differences.ToImmutable();

        static string Text(ulong? hash) => hash is { } value ? value.ToString("x16", System.Globalization.CultureInfo.InvariantCulture) : "not written";
    }

    /// <summary>For the primary, in a session.</summary>
    public DivergenceWitness ToMessage(ChannelSession session, Log.Lsn lsn)
    {
        var pages = new byte[Math.Min(Pages.Length, DivergenceWitness.PagesMax) * PageBytes];
        for (int i = 0; i < pages.Length / PageBytes; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(pages.AsSpan(i * PageBytes), Pages[i].PhysicalAddress);
            BinaryPrimitives.WriteUInt64LittleEndian(pages.AsSpan((i * PageBytes) + 8), Pages[i].Hash);
        }
        string registers = string.Join('\n', Registers.Select(register => $"{register.Name}={register.Value}"));
        return new DivergenceWitness(session.Generation, session.Attempt, lsn.Value, Icount,
            registers.Length <= DivergenceWitness.RegistersMax ? registers : "", ImmutableCollectionsMarshal.AsImmutableArray(pages));
    }

    /// <summary>What the backup sent.</summary>
    public static StateWitness Of(DivergenceWitness message)
    {
        ArgumentNullException.ThrowIfNull(message);
        var pages = ImmutableArray.CreateBuilder<PageDigest>();
        for (int at = 0; at + PageBytes <= message.Pages.Length; at += PageBytes)
        {
            var page = message.Pages.AsSpan().Slice(at, PageBytes);
            pages.Add(new PageDigest(BinaryPrimitives.ReadUInt64LittleEndian(page), BinaryPrimitives.ReadUInt64LittleEndian(page[8..])));
        }
        return new StateWitness(message.Icount,
            [.. message.Registers.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split('=', 2)).Where(pair => pair.Length == 2).Select(pair => (pair[0], pair[1]))],
            pages.ToImmutable());
    }
}
