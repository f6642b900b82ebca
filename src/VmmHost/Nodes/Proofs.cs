namespace FtAkka.VmmHost.Nodes;

/// <summary>Looks at devices on threads of their own: storage may hang. Each proof is answered once, and in time.</summary>
/// <param name="timeMax">A proof that takes longer has failed.</param>
internal sealed class Proofs(TimeSpan timeMax)
{
    /// <summary>Proofs that wait for a storage that hangs. What is beyond them has failed at once.</summary>
    public const int WaitingMax = 64;

    private int waiting;

    /// <summary>Begins a proof.</summary>
    /// <param name="prove">Throws what speaks against it.</param>
    /// <param name="answer">Given the reason, or null; on any thread.</param>
    public void Begin(Action prove, Action<string?> answer)
    {
        if (Interlocked.Increment(ref waiting) > WaitingMax)
        {
            Interlocked.Decrement(ref waiting);
            answer($"{WaitingMax} looks at devices wait for storage that does not answer");
            return;
        }
        int answered = 0;
        void Once(string? refusal)
        {
            if (Interlocked.Exchange(ref answered, 1) == 0)
            {
                answer(refusal);
            }
        }
        var late = new Timer(_ => Once($"its devices were not opened within {timeMax.TotalSeconds} s: does their storage answer?"), null, timeMax, Timeout.InfiniteTimeSpan);
        new Thread(() =>
        {
            string? refusal = Refusal(prove);
            Interlocked.Decrement(ref waiting);
            late.Dispose();
            Once(refusal);
        }) { IsBackground = true, Name = "proof" }.Start();
    }

    private static string? Refusal(Action prove)
    {
        try
        {
            prove();
            return null;
        }
        // Whatever speaks against it, it is no proof; and nothing may end the process.
#pragma warning disable CA1031
        catch (Exception refused)
#pragma warning restore CA1031
        {
            return refused.Message;
        }
    }
}
