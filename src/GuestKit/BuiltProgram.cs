namespace FtAkka.GuestKit;

/// <summary>A program that is built on this host for an initramfs.</summary>
/// <param name="Name">Its name, for people.</param>
/// <param name="GuestPath">Its place in the guest.</param>
/// <param name="Version">Another text whenever another program would come out of it.</param>
/// <param name="Build">Builds it in the folder that it is given and returns the program's path there.</param>
public sealed record BuiltProgram(string Name, string GuestPath, string Version, Func<string, string> Build);
