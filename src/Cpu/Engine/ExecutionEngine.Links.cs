using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using FtAkka.Cpu.Translation;

namespace FtAkka.Cpu.Engine;

/// <summary>
/// Direct branches patched straight to their target. Inside a page the mapping that led to the branch holds for the target as well. Into another page
/// (a far link) only where that page is global, so that a CR3 load leaves it alone, and lies in the upper half, where kernels have their code: every other change of its
/// mapping undoes the patch, and looking for such links must cost user pages, which come and go all the time, nothing.
/// </summary>
internal sealed unsafe partial class ExecutionEngine
{
    /// <summary>By linear page: the first far link into it, or -1.</summary>
    private readonly Dictionary<ulong, int> _farLinks = [];

    /// <summary>The pages in it, each once.</summary>
    private readonly List<ulong> _farPages = [];

    private static bool IsUpperHalf(ulong address) => (long)address < 0;

    /// <summary>Makes a direct branch lead straight to its target.</summary>
    private void Connect(int linkId, Block target, bool far)
    {
        ref Link link = ref _tables.Link(linkId);
        Patch(link.Patch, target.Entry);
        link.To = target.Id;
        link.NextIncoming = target.FirstIncomingLink;
        target.FirstIncomingLink = linkId;
        if (far && !link.IsFar)
        {
            ref int first = ref CollectionsMarshal.GetValueRefOrAddDefault(_farLinks, link.Target & ~0xFFFUL, out bool known);
            if (!known)
            {
                first = -1;
                _farPages.Add(link.Target & ~0xFFFUL);
            }
            link.NextFar = first;
            link.IsFar = true;
            first = linkId;
        }
    }

    private void Patch(int at, nint destination)
    {
        *(int*)_code.Writable(at) = checked((int)(destination - (at + 4)));
        _codeChanged = true;
    }

    /// <summary>Leads the branches to a block back to their stubs: all, or only those from other pages.</summary>
    private void Disconnect(Block block, bool onlyFar)
    {
        int kept = -1;
        for (int id = block.FirstIncomingLink; id >= 0;)
        {
            ref Link link = ref _tables.Link(id);
            int next = link.NextIncoming;
            if (onlyFar && !link.IsFar)
            {
                link.NextIncoming = kept;
                kept = id;
            }
            else
            {
                Patch(link.Patch, link.Stub);
                link.NextIncoming = -1;
                link.To = -1;
            }
            id = next;
        }
        block.FirstIncomingLink = kept;
    }

    private void DisconnectPage(ulong linearPage)
    {
        if (IsUpperHalf(linearPage))
        {
            DisconnectFar(linearPage);
        }
    }

    private void DisconnectRange(ulong start, ulong lengthBytes)
    {
        if (!IsUpperHalf(start + lengthBytes - 1))
        {
            return;
        }
        foreach (ulong page in _farPages)
        {
            if (page - start < lengthBytes)
            {
                DisconnectFar(page);
            }
        }
    }

    private void ForgetFarLinks()
    {
        _farLinks.Clear();
        _farPages.Clear();
    }

    private void DisconnectFar(ulong linearPage)
    {
        ref int first = ref CollectionsMarshal.GetValueRefOrNullRef(_farLinks, linearPage);
        if (Unsafe.IsNullRef(ref first))
        {
            return;
        }
        int id = first;
        first = -1;
        while (id >= 0)
        {
            ref Link link = ref _tables.Link(id);
            if (link.To >= 0)
            {
                Disconnect(_tables.Block(link.To), onlyFar: true);
            }
            link.IsFar = false;
            id = link.NextFar;
            link.NextFar = -1;
        }
    }
}
