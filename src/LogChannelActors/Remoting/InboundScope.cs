namespace FtAkka.LogChannelActors.Remoting;

/// <summary>
/// Stands around the hand-over of one protocol unit to Akka, on the thread that hands it over. Remoting's dispatchers run on the calling
/// thread, so a serializer that cannot decode a body runs inside the scope of its own connection and ends it by <see cref="Refuse"/>.
/// </summary>
/// <remarks>
/// One object serves one connection for good. Scopes nest: in the simulation a hand-over may cause another one on the same thread.
/// <code>
/// using (scope.Enter()) { reader.Notify(new InboundPayload(bytes)); }
/// if (scope.Refusal is { } why) { /* close the connection, log why */ }
/// </code>
/// </remarks>
public sealed class InboundScope
{
    [ThreadStatic]
    private static InboundScope? current;

    private string? refusal;

    /// <summary>The connection whose unit this thread hands over right now, or null.</summary>
    public static InboundScope? Current => current;

    /// <summary>Why the connection must end, or null.</summary>
    public string? Refusal => Volatile.Read(ref refusal);

    /// <summary>Says that the connection must end. The first reason sticks.</summary>
    /// <param name="why">One line for the log.</param>
    public void Refuse(string why) => Interlocked.CompareExchange(ref refusal, why, null);

    /// <summary>Enters the scope on this thread until the result is disposed of.</summary>
    public Entered Enter()
    {
        var entered = new Entered(current);
        current = this;
        return entered;
    }

    /// <summary>A scope that this thread has entered. Disposing restores the one before.</summary>
    public readonly ref struct Entered
    {
        private readonly InboundScope? before;

        internal Entered(InboundScope? before) => this.before = before;

        /// <summary>Leaves the scope.</summary>
        public void Dispose() => current = before;
    }
}
