using System.Runtime.InteropServices;
using FtAkka.Cpu.Engine;

namespace FtAkka.Cpu.Tests.Engine;

/// <summary>The jump cache against a dictionary: it may forget, but never keep what was dropped.</summary>
public sealed unsafe class JumpCacheTests
{
    private const ulong Kernel = 0xFFFF_8000_0000_0000;

    private sealed record Known(nint Entry, bool Global);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void What_is_found_was_entered_and_not_dropped_since(int seed)
    {
        var random = new Random(seed);
        void* data = NativeMemory.AllocZeroed(JumpCache.DataBytes);
        try
        {
            var cache = new JumpCache((byte*)data);
            SortedDictionary<(int Set, ulong Target), Known> model = [];
            int found = 0;
            for (int step = 0; step < 60_000; step++)
            {
                switch (random.Next(4000))
                {
                    case < 3900:
                        Enter(cache, model, random, step);
                        break;
                    case < 3970:
                        ulong page = Page(random);
                        cache.Drop(page);
                        Forget(model, target => target - (page - 15) < 4096 + 15);
                        break;
                    case < 3990:
                        ulong length = 1UL << random.Next(13, 40);
                        ulong start = Page(random) & ~(length - 1);
                        cache.DropRange(start, length);
                        Forget(model, target => target - (start - 15) < length + 15);
                        break;
                    case < 3993:
                        int set = random.Next(2);
                        cache.ClearSet(set);
                        Forget(model, _ => true, set);
                        break;
                    default:
                        bool keepGlobal = random.Next(4) != 0;
                        cache.Clear(keepGlobal);
                        foreach (var key in model.Where(e => !keepGlobal || !e.Value.Global).Select(e => e.Key).ToList()) model.Remove(key);
                        break;
                }
                found += Check(cache, model, random);
            }
            Assert.True(found > 5_000, $"only {found} look-ups found something");
        }
        finally
        {
            NativeMemory.Free(data);
        }
    }

    [Fact]
    public void Dropping_a_page_leaves_its_neighbours()
    {
        void* data = NativeMemory.AllocZeroed(JumpCache.DataBytes);
        try
        {
            var cache = new JumpCache((byte*)data);
            cache.Add(0, Kernel + 0x1FF0, 1, global: true); // 16 bytes before the page: cannot reach into it
            cache.Add(0, Kernel + 0x1FF1, 2, global: true);
            cache.Add(1, 0x2000, 3, global: false);
            cache.Add(0, Kernel + 0x2FFF, 4, global: true);
            cache.Add(0, Kernel + 0x3000, 5, global: true);
            cache.Drop(Kernel + 0x2000);
            Assert.Equal(1, cache.Find(0, Kernel + 0x1FF0));
            Assert.Equal(0, cache.Find(0, Kernel + 0x1FF1));
            Assert.Equal(3, cache.Find(1, 0x2000));
            Assert.Equal(0, cache.Find(0, Kernel + 0x2FFF));
            Assert.Equal(5, cache.Find(0, Kernel + 0x3000));
        }
        finally
        {
            NativeMemory.Free(data);
        }
    }

    /// <summary>Few pages in both halves, so that drops meet what was entered, and some share a slot.</summary>
    private static ulong Page(Random random) =>
        (random.Next(2) == 0 ? 0UL : Kernel) + ((ulong)random.Next(24) << 12) + ((ulong)random.Next(3) << 30);

    private static void Enter(JumpCache cache, SortedDictionary<(int Set, ulong Target), Known> model, Random random, int step)
    {
        int set = random.Next(2);
        ulong target = Page(random) + (random.Next(3) == 0 ? (ulong)random.Next(4080, 4096) : (ulong)random.Next(8));
        bool global = random.Next(2) == 0;
        cache.Add(set, target, step + 1, global);
        model[(set, target)] = new Known(step + 1, global);
    }

    private static void Forget(SortedDictionary<(int Set, ulong Target), Known> model, Func<ulong, bool> dropped, int set = -1)
    {
        foreach (var key in model.Keys.Where(k => (set < 0 || k.Set == set) && dropped(k.Target)).ToList()) model.Remove(key);
    }

    private static int Check(JumpCache cache, SortedDictionary<(int Set, ulong Target), Known> model, Random random)
    {
        int found = 0;
        for (int probe = 0; probe < 8; probe++)
        {
            int set = random.Next(2);
            ulong target = Page(random) + (ulong)random.Next(8);
            nint entry = cache.Find(set, target);
            if (entry == 0) continue;
            found++;
            Assert.True(model.TryGetValue((set, target), out Known? known), $"{target:x} of set {set} was dropped");
            Assert.Equal(known.Entry, entry);
        }
        return found;
    }
}
