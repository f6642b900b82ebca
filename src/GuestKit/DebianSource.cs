namespace FtAkka.GuestKit;

/// <summary>A Debian mirror that takes the place of the host's own package sources.</summary>
/// <param name="Mirror">Address of the archive, for example <c>http://deb.debian.org/debian</c>.</param>
/// <param name="Suite">Release, for example <c>bookworm</c>.</param>
public sealed record DebianSource(string Mirror, string Suite)
{
    private const string Keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

    /// <summary>The line for apt's sources.list. Signed by Debian's keyring where the host has it, else by the host's trusted keys.</summary>
    public string SourcesLine =>
        File.Exists(Keyring) ? $"deb [signed-by={Keyring}] {Mirror} {Suite} main" : $"deb {Mirror} {Suite} main";

    /// <inheritdoc/>
    public override string ToString() => $"{Mirror} {Suite}";
}
