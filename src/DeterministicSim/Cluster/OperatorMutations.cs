using FtAkka.DeterministicSim.Scenarios;
using FtAkka.Nodes;

namespace FtAkka.DeterministicSim.Cluster;

/// <summary>A node says that it did what it has refused.</summary>
internal sealed class DoneThoughRefused(ClusterWorld world) : Mutant(world)
{
    public override object? Answering(ScriptedAction action, object answer) =>
        answer is NodeProtocol.Refused && action.Action is OperatorAction.Start or OperatorAction.Unprotect ? new NodeProtocol.Done("planted") : answer;
}

/// <summary>A node that refuses something gives up the VM's backup.</summary>
internal sealed class ActsThoughRefused(ClusterWorld world) : Mutant(world)
{
    public override object? Answering(ScriptedAction action, object answer)
    {
        if (answer is NodeProtocol.Refused)
        {
            World.Primary?.Handle.Unprotect();
        }
        return answer;
    }
}

/// <summary>A node does not answer one verb in four.</summary>
internal sealed class ForgottenAnswer(ClusterWorld world) : Mutant(world)
{
    private int _answers;

    public override object? Answering(ScriptedAction action, object answer) => ++_answers % 4 == 0 ? null : answer;
}

/// <summary>A node says that it did what it has not begun.</summary>
internal sealed class ForgottenVerb(ClusterWorld world, OperatorAction verb, object says) : Mutant(world)
{
    public override object Asking(ScriptedAction action, object message) => action.Action == verb ? new NodeProtocol.List() : message;

    public override object? Answering(ScriptedAction action, object answer) => answer is NodeProtocol.Replicas ? says : answer;
}
