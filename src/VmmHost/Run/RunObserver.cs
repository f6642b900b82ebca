using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.Machine.Digest;

namespace FtAkka.VmmHost.Run;

/// <summary>Hears of a VM's digests and of its end.</summary>
internal sealed class RunObserver : ReceiveActor
{
    /// <summary>An observer that hands on what it hears.</summary>
    public RunObserver(Action<MachineDigest> digestTaken, TaskCompletionSource<VmProtocol.Ended> ended)
    {
        Receive<MachineProtocol.DigestTaken>(message => digestTaken(message.Digest));
        Receive<VmProtocol.Ended>(message => ended.TrySetResult(message));
    }

    public static Props Props(Action<MachineDigest> digestTaken, TaskCompletionSource<VmProtocol.Ended> ended) =>
        Akka.Actor.Props.Create(() => new RunObserver(digestTaken, ended));
}
