namespace FtAkka.Machine.Events;

/// <summary>Collects effects in order during a run.</summary>
/// <param name="limits">At so many effects, or bytes of them, the run is asked to end.</param>
/// <param name="full">Called when that happens.</param>
internal sealed class EffectLog(MachineLimits limits, Action full)
{
    private List<MachineEffect> effects = [];
    private long bytes;

    public bool IsFull => effects.Count >= limits.EffectsPerRunMax || bytes >= limits.EffectBytesPerRunMax;

    public void Add(MachineEffect effect)
    {
        effects.Add(effect);
        bytes += effect.CountBytes();
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
        bytes = 0;
        return taken;
    }
}
