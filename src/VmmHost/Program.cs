using FtAkka.VmmHost.Cli;

return await CommandLineApplication.Standard().RunAsync(args).ConfigureAwait(false);
