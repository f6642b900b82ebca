namespace FtAkka.TinyGuests;

/// <summary>Computes on the host what the guest's compute workload prints.</summary>
public static class ComputeReference
{
    internal const int IntegerSteps = 1000;
    internal const int VectorSteps = 200;
    internal const int PatchSteps = 100;
    internal const int PageStride = 37;
    internal const int CopyBytes = 0x1_0000;
    internal const int CopySkew = 3;
    internal const int ComparedBytes = 0xfff0;
    internal const int SearchedBytes = 0x8000;

    /// <summary>Checksum after each of the first rounds.</summary>
    public static IReadOnlyList<ulong> Checksums(ulong seed, int rounds)
    {
        var random = new GuestRandom(seed);
        var fold = new GuestFold();
        var checksums = new List<ulong>();
        for (int round = 1; round <= rounds; round++)
        {
            Integers(random, fold);
            Vectors(random, fold);
            for (int page = 0; page < GuestLayout.WorkPageCount; page++)
            {
                fold.Add(random.Next());
                fold.Add(0x60);
            }

            for (int step = 0; step < PatchSteps; step++)
            {
                fold.Add((uint)random.Next());
            }

            Strings(random, fold);
            Faults(random, fold);
            checksums.Add(fold.Value);
        }

        return checksums;
    }

    private static void Integers(GuestRandom random, GuestFold fold)
    {
        for (int step = 0; step < IntegerSteps; step++)
        {
            ulong first = random.Next();
            ulong second = ulong.RotateLeft(first, 17);
            ulong high = Math.BigMul(first, second, out ulong low);
            fold.Add(low ^ high);
            ulong divisor = (first >> 32) | 1;
            fold.Add((first / divisor) ^ (first % divisor));
            ulong sum = unchecked(first + second);
            ulong withCarry = unchecked(first + (sum < first ? 1u : 0));
            int count = (int)(second & 31);
            fold.Add(count == 0 ? withCarry : (withCarry << count) | (second >> (64 - count)));
        }
    }

    private static void Vectors(GuestRandom random, GuestFold fold)
    {
        for (int step = 0; step < VectorSteps; step++)
        {
            ulong first = random.Next();
            ulong second = random.Next();
            ulong sums = unchecked((uint)first + (uint)second) | ((ulong)unchecked((uint)(first >> 32) + (uint)(second >> 32)) << 32);
            fold.Add(sums ^ ((ulong)(uint)first * (uint)second));
            double number = (long)(first >> 12);
            fold.Add(BitConverter.DoubleToUInt64Bits(Math.Sqrt(number) * number / number));
        }
    }

    private static void Strings(GuestRandom random, GuestFold fold)
    {
        ulong pattern = random.Next();
        fold.Add(ulong.RotateRight(pattern, 8 * ((CopySkew + ComparedBytes) % 8)));
        ulong place = pattern & (SearchedBytes - 1);
        fold.Add(ComparedBytes - (place + 1));
        fold.Add(SearchedBytes - (place + 1));
    }

    private static void Faults(GuestRandom random, GuestFold fold)
    {
        fold.Add(0); // #DE
        fold.Add(3ul << 32); // #BP
        fold.Add(6ul << 32); // #UD
        fold.Add(13ul << 32); // #GP(0)
        fold.Add(14ul << 32); // #PF, read of a page that is not there
        fold.Add(GuestLayout.WorkVirtualBase + 0x1238);
        fold.Add((14ul << 32) | 2); // #PF, write
        fold.Add(GuestLayout.WorkVirtualBase + 0x2000);
        fold.Add(random.Next());
        fold.Add(GuestLayout.WorkVirtualBase + 0x5000); // the second page's fault names its first byte
    }
}
