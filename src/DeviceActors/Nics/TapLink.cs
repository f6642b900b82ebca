using System.Collections.Immutable;
using System.Text;
using FtAkka.DeviceActors.Fencing;
using Microsoft.Win32.SafeHandles;

namespace FtAkka.DeviceActors.Nics;

/// <summary>
/// Frames through a Linux TAP device, without the packet information header and without offloads: each read and write is one Ethernet
/// frame, complete with checksums. A thread of its own waits in <c>poll</c>; writes do not block.
/// </summary>
public sealed class TapLink : IFrameLink
{
    private const string CloneDevice = "/dev/net/tun";
    private const int InterfaceNameBytes = 16;          // IFNAMSIZ, with the terminating zero
    private const int InterfaceRequestBytes = 40;       // sizeof(struct ifreq) on x86-64
    private const ulong SetInterface = 0x4004_54CA;     // TUNSETIFF
    private const short FlagTap = 0x0002;               // IFF_TAP
    private const short FlagNoPacketInformation = 0x1000;   // IFF_NO_PI

    private readonly SafeFileHandle device;
    private readonly SafeFileHandle wake;
    private readonly Thread reader;
    private readonly SemaphoreSlim asked = new(0);
    private readonly byte[] frameBuffer = new byte[LinkLimits.FrameBytesMax];
    private readonly Fence fence;
    private readonly CancellationTokenSource closing = new();
    private TaskCompletionSource<LinkInput>? receiving;
    private volatile bool disposed;

    private TapLink(SafeFileHandle device, SafeFileHandle wake, string name, Fence fence)
    {
        this.fence = fence;
        this.device = device;
        this.wake = wake;
        Name = name;
        reader = new Thread(Read) { IsBackground = true, Name = $"tap {name}" };
        reader.Start();
    }

    /// <summary>Name of the network interface.</summary>
    public string Name { get; }

    /// <inheritdoc/>
    public bool ConnectedAtStart => true;

    /// <summary>
    /// Opens the TAP interface <paramref name="name"/>, which somebody has made and put on a bridge, for this user (<c>ip tuntap add</c>) or any. It is never made here: a
    /// new one would be on no bridge, and the guest without a network.
    /// </summary>
    /// <param name="name">Name of the interface.</param>
    /// <param name="fence">Looked at immediately before each frame is written; null for none.</param>
    /// <exception cref="IOException">The interface cannot be opened; the message says why, and what makes one.</exception>
    public static TapLink Open(string name, Fence? fence = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        RequireInterface(name);
        SafeFileHandle device = OpenCloneDevice(name);
        try
        {
            byte[] request = new byte[InterfaceRequestBytes];
            Encoding.ASCII.GetBytes(name, request);
            BitConverter.TryWriteBytes(request.AsSpan(InterfaceNameBytes), (short)(FlagTap | FlagNoPacketInformation));
            if (LinuxCalls.Control(device, SetInterface, request) != 0)
            {
                throw new IOException($"{LinuxCalls.LastError($"Cannot open the TAP interface '{name}'").Message} {HowToMake(name)}");
            }
            LinuxCalls.SetNonBlocking(device);
            return new TapLink(device, LinuxCalls.NewEvent(), name, fence ?? Fence.None);
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Looks whether <see cref="Open"/> has what it needs, and leaves the interface alone: opening it would bring it up and, when it is closed again, down, which a bridge
    /// tells its whole network.
    /// </summary>
    /// <exception cref="IOException">There is no such interface, or this process may use none; the message says what helps.</exception>
    public static void Require(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        RequireInterface(name);
        OpenCloneDevice(name).Dispose();
    }

    private static void RequireInterface(string name)
    {
        if (Encoding.ASCII.GetByteCount(name) >= InterfaceNameBytes)
        {
            throw new IOException($"The interface name '{name}' is longer than {InterfaceNameBytes - 1} characters.");
        }
        if (!LinuxCalls.HasInterface(name))
        {
            throw new IOException($"There is no TAP interface '{name}'. {HowToMake(name)}");
        }
    }

    private static SafeFileHandle OpenCloneDevice(string name)
    {
        try
        {
            return File.OpenHandle(CloneDevice, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"Cannot open the TAP interface '{name}': {refused.Message} It needs {CloneDevice}, which 'modprobe tun' brings, and the right to use it.", refused);
        }
    }

    private static string HowToMake(string name) =>
        $"One for the user {Environment.UserName} is made by 'ip tuntap add dev {name} mode tap user {Environment.UserName}' and 'ip link set dev {name} up', as root; put it on the bridge of the guest's network then.";

    /// <inheritdoc/>
    public Task<LinkInput> ReceiveAsync()
    {
        // Continuations run on the reader's thread: they hand the frames on, and a hop through the thread pool costs more than that.
        var done = new TaskCompletionSource<LinkInput>();
        if (disposed || Interlocked.CompareExchange(ref receiving, done, null) is not null)
        {
            done.SetException(new InvalidOperationException("The TAP link is closed, or a receive is under way."));
            return done.Task;
        }
        asked.Release();
        return done.Task;
    }

    /// <inheritdoc/>
    public Task<int> SendAsync(ImmutableArray<ImmutableArray<byte>> frames)
    {
        (int next, int sent) = Send(frames, 0);
        return next == frames.Length ? Task.FromResult(sent) : SendWhenOpenAsync(frames, next, sent);
    }

    /// <summary>Writes frames from one on, until the fence closes or all are written.</summary>
    private (int Next, int Sent) Send(ImmutableArray<ImmutableArray<byte>> frames, int next)
    {
        int sent = 0;
        for (; next < frames.Length; next++)
        {
            byte[] bytes = System.Runtime.InteropServices.ImmutableCollectionsMarshal.AsArray(frames[next]) ?? [];
            if (!fence.IsOpen)
            {
                break;
            }
            // Interface down, or its queue full: the frame is lost, as on a wire.
            sent += !disposed && LinuxCalls.Write(device, bytes, bytes.Length) == bytes.Length ? 1 : 0;
        }
        return (next, sent);
    }

    private async Task<int> SendWhenOpenAsync(ImmutableArray<ImmutableArray<byte>> frames, int next, int sent)
    {
        while (next < frames.Length && await fence.WaitAsync(closing.Token).ConfigureAwait(false))
        {
            (next, int more) = Send(frames, next);
            sent += more;
        }
        return sent;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (disposed)
        {
            return;
        }
        disposed = true;
        closing.Cancel();
        asked.Release();
        LinuxCalls.Signal(wake);
        // A continuation of a receive runs on the reader's thread, which then ends by itself.
        if (Thread.CurrentThread != reader)
        {
            reader.Join();
            Interlocked.Exchange(ref receiving, null)?.TrySetCanceled();
        }
    }

    private void Read()
    {
        while (true)
        {
            asked.Wait();
            ImmutableArray<ImmutableArray<byte>> frames = [];
            while (!disposed && frames.IsEmpty)
            {
                LinuxCalls.WaitReadable(device, wake);
                frames = ReadFrames();
            }
            if (disposed)
            {
                device.Dispose();
                wake.Dispose();
                asked.Dispose();
                return;
            }
            Interlocked.Exchange(ref receiving, null)?.TrySetResult(new LinkInput(frames, Connected: true));
        }
    }

    private ImmutableArray<ImmutableArray<byte>> ReadFrames()
    {
        ImmutableArray<ImmutableArray<byte>>.Builder frames = ImmutableArray.CreateBuilder<ImmutableArray<byte>>();
        while (frames.Count < LinkLimits.FramesPerReceive)
        {
            nint length = LinuxCalls.Read(device, frameBuffer, frameBuffer.Length);
            if (length <= 0)
            {
                break;   // Nothing more for now (EAGAIN), or the interface is down; poll tells when it is worth trying again.
            }
            frames.Add(ImmutableArray.Create(frameBuffer.AsSpan(0, (int)length)));
        }
        return frames.ToImmutable();
    }
}
