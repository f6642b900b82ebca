namespace FtAkka.VmmHost.Tests.Guests;

/// <summary>Tests with Debian guests: one after the other, and beside no other test, since some watch the clock.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class GuestTestCollection
{
    /// <summary>Name of the collection.</summary>
    public const string Name = "Debian guests";
}
