using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace FtAkka.VmmHost.Doctor;

/// <summary>
/// Tries what the translator's code cache does: one anonymous file mapped twice, executable below 2 GiB and writable elsewhere,
/// never both in one place; then runs a function written through the writable view.
/// </summary>
public static class CodeMemoryCheck
{
    private const int SizeBytes = 4096;
    private const int Answer = 42;

    private delegate int Emitted();

    /// <summary>Looks whether anonymous files can be had at all.</summary>
    public static Finding LookForMemfd()
    {
        using SafeFileHandle file = CreateFile();
        return file.IsInvalid ? Finding.Missing($"memfd_create: {NativeCalls.LastError()}") : Finding.Ok("memfd_create works");
    }

    /// <summary>Looks whether code can be emitted and run.</summary>
    public static Finding LookForCodeMemory()
    {
        using SafeFileHandle file = CreateFile();
        if (file.IsInvalid || NativeCalls.Truncate(file, SizeBytes) != 0)
        {
            return Finding.Missing($"no anonymous file: {NativeCalls.LastError()}");
        }
        nint executable = NativeCalls.Map(
            0, SizeBytes, NativeCalls.ProtectionRead | NativeCalls.ProtectionExecute, NativeCalls.MapShared | NativeCalls.Map32Bit, file, 0);
        if (executable == NativeCalls.MapFailed)
        {
            return Finding.Missing($"executable mapping below 2 GiB: {NativeCalls.LastError()}");
        }
        try
        {
            return RunThrough(file, executable);
        }
        finally
        {
            _ = NativeCalls.Unmap(executable, SizeBytes);
        }
    }

    private static Finding RunThrough(SafeFileHandle file, nint executable)
    {
        nint writable = NativeCalls.Map(0, SizeBytes, NativeCalls.ProtectionRead | NativeCalls.ProtectionWrite, NativeCalls.MapShared, file, 0);
        if (writable == NativeCalls.MapFailed)
        {
            return Finding.Missing($"writable second mapping: {NativeCalls.LastError()}");
        }
        try
        {
            byte[] moveAnswerToEaxAndReturn = [0xB8, Answer, 0, 0, 0, 0xC3];
            Marshal.Copy(moveAnswerToEaxAndReturn, 0, writable, moveAnswerToEaxAndReturn.Length);
            int result = Marshal.GetDelegateForFunctionPointer<Emitted>(executable)();
            return result == Answer
                ? Finding.Ok("emitted code runs, with no page both writable and executable")
                : Finding.Missing($"emitted code returned {result}");
        }
        finally
        {
            _ = NativeCalls.Unmap(writable, SizeBytes);
        }
    }

    private static SafeFileHandle CreateFile() =>
        new(NativeCalls.MemfdCreate("ftakka-doctor\0"u8.ToArray(), NativeCalls.MemfdCloseOnExec), ownsHandle: true);
}
