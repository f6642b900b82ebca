using FtAkka.Cpu.Translation;

namespace FtAkka.Cpu.Engine;

/// <summary>
/// Translated blocks by linear address, physical address and mode: hash buckets chained through the blocks themselves, so that a look-up touches the bucket
/// and the block it wants, which is needed anyway.
/// </summary>
internal sealed class BlockTable
{
    private const int InitialBits = 12;

    private Block?[] _buckets = new Block?[1 << InitialBits];
    private int _bits = InitialBits;
    private int _count;

    /// <summary>The block with this key, or null.</summary>
    public Block? Find(ulong linear, ulong physical, BlockMode mode)
    {
        Block? block = _buckets[Bucket(linear, physical)];
        while (block != null && (block.LinearAddress != linear || block.PhysicalAddress != physical || block.Mode != mode))
        {
            block = block.NextInBucket;
        }
        return block;
    }

    /// <summary>Adds a block whose key is not in the table.</summary>
    public void Add(Block block)
    {
        if (++_count > _buckets.Length)
        {
            Grow();
        }
        Insert(block);
    }

    /// <summary>Removes a block that is in the table.</summary>
    public void Remove(Block block)
    {
        ref Block? at = ref _buckets[Bucket(block.LinearAddress, block.PhysicalAddress)];
        while (at != block)
        {
            at = ref at!.NextInBucket;
        }
        at = block.NextInBucket;
        block.NextInBucket = null;
        _count--;
    }

    /// <summary>Empties the table, telling of each block that was in it.</summary>
    public void Clear(Action<Block> leaving)
    {
        for (int i = 0; i < _buckets.Length; i++)
        {
            Block? block = _buckets[i];
            _buckets[i] = null;
            while (block != null)
            {
                Block? next = block.NextInBucket;
                block.NextInBucket = null;
                leaving(block);
                block = next;
            }
        }
        _count = 0;
    }

    private int Bucket(ulong linear, ulong physical) => (int)(((linear ^ (physical << 20)) * 0x9E37_79B9_7F4A_7C15) >> (64 - _bits));

    private void Insert(Block block)
    {
        ref Block? bucket = ref _buckets[Bucket(block.LinearAddress, block.PhysicalAddress)];
        block.NextInBucket = bucket;
        bucket = block;
    }

    private void Grow()
    {
        Block?[] old = _buckets;
        _buckets = new Block?[old.Length * 2];
        _bits++;
        foreach (Block? head in old)
        {
            for (Block? block = head; block != null;)
            {
                Block? next = block.NextInBucket;
                Insert(block);
                block = next;
            }
        }
    }
}
