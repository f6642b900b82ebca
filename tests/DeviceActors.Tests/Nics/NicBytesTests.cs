using System.Collections.Immutable;
using Akka.Actor;
using FtAkka.DeviceActors.Nics;

namespace FtAkka.DeviceActors.Tests.Nics;

/// <summary>What waits for a link that does not take it is limited in bytes.</summary>
public sealed class NicBytesTests : PatientTestKit
{
    /// <summary>Two thousand frames of the usual size, and more than any card's ring holds.</summary>
    private const long BytesMax = 8 << 20;

    [Fact]
    public async Task Frames_that_wait_for_a_slow_link_are_bounded_in_bytes()
    {
        var link = new StuckLink();
        IActorRef nic = Sys.ActorOf(NicActor.Props(link));
        // One array, named many times: what is tried here costs the test nothing.
        ImmutableArray<byte> frame = [.. new byte[LinkLimits.FrameBytesMax]];
        nic.Tell(new NicProtocol.Transmit([frame]));
        await link.Next.WaitAsync(Patience);
        for (int i = 0; i < 8; i++)
        {
            nic.Tell(new NicProtocol.Transmit([.. Enumerable.Repeat(frame, 64)]));
        }
        ImmutableArray<ImmutableArray<byte>> waited = await link.ReleaseAsync().WaitAsync(Patience);
        long bytes = waited.Sum(one => (long)one.Length);
        Assert.True(bytes <= BytesMax, $"{bytes} bytes waited for the link, {BytesMax} are allowed");
    }

    /// <summary>Takes frames when the test lets it.</summary>
    private sealed class StuckLink : IFrameLink
    {
        private TaskCompletionSource<ImmutableArray<ImmutableArray<byte>>> sent = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private TaskCompletionSource<int> taken = new();

        /// <summary>What is handed to the link next.</summary>
        public Task<ImmutableArray<ImmutableArray<byte>>> Next => sent.Task;

        /// <summary>Ends the send under way, once all messages sent before have been looked at.</summary>
        public async Task<ImmutableArray<ImmutableArray<byte>>> ReleaseAsync()
        {
            TaskCompletionSource<int> under = taken;
            (sent, taken) = (new(TaskCreationOptions.RunContinuationsAsynchronously), new());
            under.SetResult(1);
            return await sent.Task;
        }

        public Task<LinkInput> ReceiveAsync() => new TaskCompletionSource<LinkInput>().Task;

        public Task<int> SendAsync(ImmutableArray<ImmutableArray<byte>> frames)
        {
            sent.TrySetResult(frames);
            return taken.Task;
        }

        public void Dispose() => taken.TrySetResult(0);
    }
}
