using System.Net.Sockets;
using System.Security.Authentication;

namespace FtAkka.LogChannelActors.Remoting.Tcp;

/// <summary>
/// What an exception on a connection's thread means. Whatever it is, it ends that connection and nothing else: nobody on the network may end the
/// process, which runs virtual machines.
/// </summary>
internal static class ConnectionFailure
{
    /// <summary>Why the connection ended, for the log: a line for what networks and peers do, all of it for what nobody has thought of.</summary>
    public static string Describe(Exception failure) =>
        failure is SocketException or IOException or ObjectDisposedException or InvalidOperationException or AuthenticationException
            or System.ComponentModel.Win32Exception
            ? failure.Message
            : $"unexpected, please report it: {failure}";
}
