namespace FtAkka.LogChannelActors.Tests.Remoting.Tcp;

/// <summary>What a hostile peer makes of good bytes.</summary>
internal static class MutatedBytes
{
    /// <summary>A copy with one to four changes: a bit flipped, a byte replaced, the rest cut off, or bytes inserted.</summary>
    public static byte[] Mutate(Random random, byte[] original)
    {
        List<byte> body = [.. original];
        for (int changes = random.Next(1, 5); changes > 0; changes--)
        {
            int at = random.Next(body.Count + 1);
            switch (random.Next(4))
            {
                case 0 when at < body.Count:
                    body[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1 when at < body.Count:
                    body[at] = (byte)random.Next(256);
                    break;
                case 2 when at < body.Count:
                    body.RemoveRange(at, body.Count - at);
                    break;
                default:
                    body.InsertRange(at, Enumerable.Range(0, random.Next(1, 6)).Select(_ => (byte)random.Next(256)));
                    break;
            }
        }
        return [.. body];
    }
}
