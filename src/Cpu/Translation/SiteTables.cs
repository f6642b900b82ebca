namespace FtAkka.Cpu.Translation;

/// <summary>Side tables of emitted code: blocks, memory sites and links by the number that stands in the code.</summary>
internal sealed class SiteTables
{
    private Site[] _sites = new Site[4096];
    private Link[] _links = new Link[4096];
    private Block[] _blocks = new Block[4096];

    public int SiteCount { get; private set; }
    public int LinkCount { get; private set; }
    public int BlockCount { get; private set; }

    public int AddSite(in Site site)
    {
        if (SiteCount == _sites.Length)
        {
            Array.Resize(ref _sites, _sites.Length * 2);
        }
        _sites[SiteCount] = site;
        return SiteCount++;
    }

    public int AddLink(in Link link)
    {
        if (LinkCount == _links.Length)
        {
            Array.Resize(ref _links, _links.Length * 2);
        }
        _links[LinkCount] = link;
        return LinkCount++;
    }

    /// <summary>The number the next block gets.</summary>
    public int NextBlockId => BlockCount;

    public void AddBlock(Block block)
    {
        if (BlockCount == _blocks.Length)
        {
            Array.Resize(ref _blocks, _blocks.Length * 2);
        }
        _blocks[BlockCount++] = block;
    }

    public ref Site Site(int id) => ref _sites[id];

    public ref Link Link(int id) => ref _links[id];

    public Block Block(int id) => _blocks[id];

    /// <summary>Forgets everything: the code that carried the numbers is gone.</summary>
    public void Clear()
    {
        Array.Clear(_blocks, 0, BlockCount);
        SiteCount = LinkCount = BlockCount = 0;
    }
}
