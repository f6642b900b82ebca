namespace FtAkka.GuestKit;

/// <summary>One thing in the guest's root file system.</summary>
public abstract record GuestEntry
{
    private GuestEntry()
    {
    }

    /// <summary>A folder, readable by all.</summary>
    public sealed record Folder : GuestEntry;

    /// <summary>A symbolic link.</summary>
    public sealed record Link(string Target) : GuestEntry;

    /// <summary>A regular file with content made by the guest kit.</summary>
    public sealed record Content(byte[] Bytes, int Permissions) : GuestEntry;

    /// <summary>A regular file copied from the host when the archive is written.</summary>
    public sealed record HostFile(string Path, int Permissions) : GuestEntry;
}
