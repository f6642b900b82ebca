using FtAkka.Cpu;
using FtAkka.Cpu.Debugging;
using FtAkka.Machine;
using FtAkka.Replication.Debugging;

namespace FtAkka.VmmHost.Debugging;

/// <summary>RAM by linear address, as the guest's page tables of the moment map it. Device registers are not read: that would change them.</summary>
internal static class GuestMemoryAccess
{
    /// <summary>Reads; returns how many bytes from the first on are mapped to RAM.</summary>
    public static int Read(GuestMachine machine, ulong address, Span<byte> destination)
    {
        int done = 0;
        while (done < destination.Length)
        {
            int length = InPage(address + (ulong)done, destination.Length - done);
            if (!machine.Vcpu!.TryTranslate(address + (ulong)done, out ulong physical) || !machine.Memory.TryRead(physical, destination.Slice(done, length)))
            {
                break;
            }
            done += length;
        }
        return done;
    }

    /// <summary>Writes; false, and nothing written, if not all of it is mapped to RAM.</summary>
    public static bool Write(GuestMachine machine, ulong address, ReadOnlySpan<byte> source)
    {
        byte[] probe = new byte[source.Length];
        if (Read(machine, address, probe) != source.Length)
        {
            return false;
        }
        for (int done = 0; done < source.Length;)
        {
            int length = InPage(address + (ulong)done, source.Length - done);
            machine.Vcpu!.TryTranslate(address + (ulong)done, out ulong physical);
            machine.Memory.TryWrite(physical, source.Slice(done, length));
            done += length;
        }
        return true;
    }

    /// <summary>The RAM bytes behind a linear watchpoint, one piece for each page; null if a page is not mapped to RAM.</summary>
    public static IReadOnlyList<HostWatchpoint>? Locate(GuestMachine machine, LinearWatchpoint watchpoint)
    {
        var pieces = new List<HostWatchpoint>();
        for (int done = 0; done < watchpoint.LengthBytes;)
        {
            int length = InPage(watchpoint.Address + (ulong)done, watchpoint.LengthBytes - done);
            if (!machine.Vcpu!.TryTranslate(watchpoint.Address + (ulong)done, out ulong physical) || machine.Memory.PageIndexOf(physical) < 0)
            {
                return null;
            }
            pieces.Add(new HostWatchpoint(physical, length, watchpoint.OnRead, watchpoint.OnWrite));
            done += length;
        }
        return pieces;
    }

    private static int InPage(ulong address, int length) => Math.Min(length, 4096 - (int)(address & 0xFFF));
}
