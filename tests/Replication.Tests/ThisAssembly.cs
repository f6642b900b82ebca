namespace FtAkka.KnownFailures;

/// <summary>What <see cref="KnownToFailAttribute"/> must know of the project that it is compiled into.</summary>
internal static class ThisAssembly
{
    /// <summary>Name of the assembly.</summary>
    public const string Name = "FtAkka.Replication.Tests";
}
