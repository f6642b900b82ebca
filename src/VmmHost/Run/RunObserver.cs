using Akka.Actor;
using FtAkka.Actors.Machines;
using FtAkka.Actors.Vms;
using FtAkka.Machine.Digest;

namespace FtAkka.VmmHost.Run;

/// <summary>Hears of a VM's digests and of its end.</summary>
internal sealed class RunObserver : ReceiveActor
{
    /// <summary>An observer that hands on what it hears.</summary>
    public RunObserver(Action<MachineDigest> digestTaken, Action<string> progress, TaskCompletionSource<VmProtocol.Ended> ended)
    {
        Receive<MachineProtocol.Restarted>(message => progress($"{WhatHappened(message.Cause)} at icount {message.Icount}: it starts again"));
        Receive<MachineProtocol.Held>(message => progress(
            $"{WhatHappened(message.Cause)} at icount {message.Icount}, crash {message.CrashesInRow} in a row: it is held, and executes nothing (gdb sees it if --gdb was given; Ctrl-A X or a signal ends it)"));
        Receive<MachineProtocol.DigestTaken>(message => digestTaken(message.Digest));
        Receive<VmProtocol.Ended>(message => ended.TrySetResult(message));
    }

    public static Props Props(Action<MachineDigest> digestTaken, Action<string> progress, TaskCompletionSource<VmProtocol.Ended> ended) =>
        Akka.Actor.Props.Create(() => new RunObserver(digestTaken, progress, ended));

    /// <summary>What a guest did that ended it, or would have.</summary>
    public static string WhatHappened(MachineEndReason reason) => reason switch
    {
        MachineEndReason.PowerOff => "the guest switched itself off",
        MachineEndReason.Reset => "the guest rebooted",
        MachineEndReason.Panic => "the guest's kernel panicked",
        _ => "the guest crashed (triple fault)",
    };
}
