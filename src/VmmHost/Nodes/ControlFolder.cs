using System.Runtime.InteropServices;
using FtAkka.Nodes.HostFiles;
using FtAkka.VmmHost.Cli;

namespace FtAkka.VmmHost.Nodes;

/// <summary>
/// The folder of a control socket. Who may write to it could put a socket of his own in the node's place, and would be asked for whatever operators
/// want; so it belongs to the node's user or to root, and nobody else may write to it. The socket itself is for its owner only.
/// </summary>
internal static class ControlFolder
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode OthersWrite = UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;
    private const uint Root = 0;

    /// <summary>Makes the folder for its owner only, or looks at the one that is there.</summary>
    /// <exception cref="CommandFailedException">It cannot be made, belongs to somebody else, or others may write to it.</exception>
    public static void Prepare(string folder)
    {
        FileStatus? status;
        try
        {
            Directory.CreateDirectory(folder, OwnerOnly);
            status = FileStatus.Of(folder);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"The folder of the control socket, {folder}, cannot be made: {refused.Message}", refused);
        }
        if (WhyNot(status) is { } wrong)
        {
            throw new CommandFailedException($"The folder of the control socket, {folder}, {wrong}: 'chmod go-w' it if it is yours, or name another in ftakka.node.control-socket.");
        }
    }

    private static string? WhyNot(FileStatus? status) =>
        status is null ? "is gone"
        : status.Kind != FileStatus.Folder ? $"is {status.Kind}"
        : status.Owner != Root && status.Owner != EffectiveUser() ? $"belongs to somebody else (user {status.Owner})"
        : (status.Mode & OthersWrite) != 0 ? "may be written to by others"
        : null;

    [DllImport("libc", EntryPoint = "geteuid")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern uint EffectiveUser();
}
