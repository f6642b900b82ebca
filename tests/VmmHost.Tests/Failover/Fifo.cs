using FtAkka.GuestKit;

namespace FtAkka.VmmHost.Tests.Failover;

/// <summary>A file that nobody can read to its end: whoever opens it waits for a writer. Disposing it lets them go.</summary>
internal sealed class Fifo : IDisposable
{
    private readonly string path;

    public Fifo(string path)
    {
        this.path = path;
        HostCommand.RunChecked("mkfifo", [path]);
    }

    public void Dispose()
    {
        // Linux opens it for both ways without waiting (fifo(7)); readers that wait get its end when it is closed again.
        for (int i = 0; i < 5; i++)
        {
            using (File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
            {
                Thread.Sleep(20);
            }
        }
        File.Delete(path);
    }
}
