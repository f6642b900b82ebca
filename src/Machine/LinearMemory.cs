namespace FtAkka.Machine;

/// <summary>RAM by linear address, as the guest's page tables of the moment map it. Device registers are not read: that would change them.</summary>
public static class LinearMemory
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

    private static int InPage(ulong address, int length) => Math.Min(length, 4096 - (int)(address & 0xFFF));
}
