using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace FtAkka.VmmHost.Tests.Recordings;

/// <summary>A debugger that speaks gdb's remote serial protocol with nothing between: packet out, packet back.</summary>
internal sealed class RspClient : IDisposable
{
    private const int Rip = 16;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly TcpClient client;
    private readonly NetworkStream stream;

    public RspClient(int port)
    {
        client = new TcpClient("127.0.0.1", port) { NoDelay = true };
        stream = client.GetStream();
        stream.ReadTimeout = (int)Patience.TotalMilliseconds;
    }

    /// <summary>Instructions retired, as the monitor command says it.</summary>
    public ulong Icount => ulong.Parse(
        Encoding.ASCII.GetString(Convert.FromHexString(Ask("qRcmd," + Convert.ToHexStringLower("icount"u8)))).Split(' ')[1], CultureInfo.InvariantCulture);

    /// <summary>The instruction pointer.</summary>
    public ulong ReadRip() => ReadRegister(Rip);

    /// <summary>A 64-bit register.</summary>
    public ulong ReadRegister(int number) => BinaryPrimitives.ReadUInt64LittleEndian(Convert.FromHexString(Ask($"p{number:x}")));

    /// <summary>Sends a packet and waits for the answer.</summary>
    public string Ask(string packet)
    {
        Send(packet);
        return Receive();
    }

    /// <summary>Sends a packet.</summary>
    public void Send(string packet)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(packet);
        stream.Write([(byte)'$', .. bytes, (byte)'#', .. Encoding.ASCII.GetBytes($"{bytes.Sum(value => value) & 0xFF:x2}")]);
    }

    /// <summary>Ctrl-C.</summary>
    public void Interrupt() => stream.WriteByte(3);

    /// <summary>Waits for a packet, and acknowledges it.</summary>
    public string Receive()
    {
        while (Next() is var start && start != '$')
        {
            Assert.True(start == '+', $"unexpected byte 0x{start:x2}");
        }
        var text = new StringBuilder();
        while (Next() is var value && value != '#')
        {
            text.Append((char)value);
        }
        string sum = $"{(char)Next()}{(char)Next()}";
        Assert.Equal($"{text.ToString().Sum(value => value) & 0xFF:x2}", sum);
        stream.WriteByte((byte)'+');
        return text.ToString();
    }

    /// <inheritdoc/>
    public void Dispose() => client.Dispose();

    private int Next()
    {
        int value = stream.ReadByte();
        return value >= 0 ? value : throw new EndOfStreamException("the stub has closed the connection");
    }
}
