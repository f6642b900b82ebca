namespace FtAkka.Machine.Events;

/// <summary>Collects effects in order during a run.</summary>
/// <param name="countMax">At this many effects the run is asked to end.</param>
/// <param name="full">Called when that happens.</param>
internal sealed class EffectLog(int countMax, Action full)
{
    private List<MachineEffect> effects = [];

    public bool IsFull => effects.Count >= countMax;

    public void Add(MachineEffect effect)
    {
        effects.Add(effect);
        if (IsFull)
            full();
    }

    /// <summary>Hands the effects over and starts anew.</summary>
    public IReadOnlyList<MachineEffect> Take()
    {
        if (effects.Count == 0)
            return [];
        var taken = effects;
        effects = [];
        return taken;
    }
}
