using FtAkka.DeviceActors.Disks;
using FtAkka.DeviceActors.Fencing;
using FtAkka.Machine.Virtio.Block;

namespace FtAkka.DeviceActors.Tests;

/// <summary>What may not act is held before the system call, goes on when the fence opens, and is given up when the device closes.</summary>
public sealed class FenceTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(100);

    private readonly string file = Path.GetTempFileName();
    private volatile bool open;
    private Fence? fence;

    public FenceTests() => File.WriteAllBytes(file, new byte[4096]);

    private Fence Fence => fence ??= new Fence(() => open);

    public void Dispose() => File.Delete(file);

    private RawDiskImage OpenImage() => RawDiskImage.Open(new RawDiskOptions(file) { Exclusive = false, Fence = Fence, ConcurrentRequests = 2 });

    private void Move(bool to)
    {
        open = to;
        Fence.Moved();
    }

    private static DiskRequest Write(ulong id) => new(id, DiskRequestKind.Write, 0, 512, [.. Enumerable.Repeat((byte)id, 512)]);

    private byte FirstByte()
    {
        using FileStream image = new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return (byte)image.ReadByte();
    }

    [Fact]
    public async Task Request_that_was_queued_while_the_fence_was_open_is_held_when_it_closed_before_the_write()
    {
        Move(true);
        using RawDiskImage image = OpenImage();
        Assert.Equal(DiskStatus.Ok, (await image.ExecuteAsync(Write(1)).WaitAsync(Patience)).Completion.Status);
        Move(false);

        Task<DiskOutcome> held = image.ExecuteAsync(Write(2));
        await Task.Delay(Moment);
        Assert.False(held.IsCompleted);
        Assert.Equal(1, FirstByte());

        Move(true);
        Assert.Equal(DiskStatus.Ok, (await held.WaitAsync(Patience)).Completion.Status);
        Assert.Equal(2, FirstByte());
    }

    [Fact]
    public async Task Image_that_closes_gives_up_what_the_fence_holds_and_writes_nothing()
    {
        RawDiskImage image = OpenImage();
        Task<DiskOutcome>[] held = [.. Enumerable.Range(1, 5).Select(id => image.ExecuteAsync(Write((ulong)id)))];
        await Task.Delay(Moment);
        await Task.Run(image.Dispose).WaitAsync(Patience);

        foreach (Task<DiskOutcome> one in held)
        {
            Assert.Equal(DiskStatus.IoError, (await one.WaitAsync(Patience)).Completion.Status);
        }
        Assert.Equal(0, FirstByte());
    }

    [Fact]
    public void What_is_held_is_called_once_and_can_be_taken_back()
    {
        int calls = 0;
        Fence.Hold(() => calls++);
        Fence.Hold(() => calls += 100).Dispose();
        Move(false);
        Assert.Equal(0, calls);
        Move(true);
        Move(true);
        Assert.Equal(1, calls);
        Fence.Hold(() => calls += 10);
        Assert.Equal(11, calls);
    }

    [Fact]
    public async Task No_opening_is_missed_however_it_races_with_the_wait()
    {
        for (int round = 0; round < 500; round++)
        {
            Move(false);
            Task<bool> blocking = Task.Run(() => Fence.Wait(CancellationToken.None));
            Task<bool> asynchronous = Fence.WaitAsync(CancellationToken.None);
            Move(true);
            Assert.True(await blocking.WaitAsync(Patience));
            Assert.True(await asynchronous.WaitAsync(Patience));
        }
    }
}
