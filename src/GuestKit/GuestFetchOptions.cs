namespace FtAkka.GuestKit;

/// <summary>What <c>ftakka guest fetch</c> is asked for.</summary>
public sealed record GuestFetchOptions
{
    /// <summary>The Debian cloud kernel: ext4 built in, virtio as modules.</summary>
    public const string CloudKernel = "linux-image-cloud-amd64";

    /// <summary>Where the files go.</summary>
    public GuestFolder Folder { get; init; } = GuestFolder.Default;

    /// <summary>Name of the initramfs variant; empty for the plain one.</summary>
    public string Variant { get; init; } = string.Empty;

    /// <summary>Kernel package: a meta package, or one with the release in its name.</summary>
    public string KernelPackage { get; init; } = CloudKernel;

    /// <summary>Debian packages whose files go into the initramfs, with the libraries they need.</summary>
    public IReadOnlyList<string> Packages { get; init; } = [];

    /// <summary>Kernel modules to add to those of virtio; they are loaded at boot.</summary>
    public IReadOnlyList<string> Modules { get; init; } = [];

    /// <summary>Host files to add: host path and place in the guest.</summary>
    public IReadOnlyList<(string HostPath, string GuestPath)> Files { get; init; } = [];

    /// <summary>Programs to build and add.</summary>
    public IReadOnlyList<BuiltProgram> Programs { get; init; } = [];

    /// <summary>A mirror in place of the host's package sources, or null.</summary>
    public DebianSource? Source { get; init; }

    /// <summary>Fetch and build again even when nothing seems to have changed; also takes a newer kernel if there is one.</summary>
    public bool Force { get; init; }
}
