/* ftproof: the same static program runs on the host and in the guest, and every line it prints must be the same in both.
 * Nothing it prints depends on addresses, time, process numbers or the C library's choice of routines for a CPU. */
#ifndef FTPROOF_H
#define FTPROOF_H

#include <stddef.h>
#include <stdint.h>

/* Prints what went wrong and ends the program with status 1. */
void fail(const char *what);

/* Fails unless the condition holds. */
#define MUST(condition) do { if (!(condition)) fail(#condition); } while (0)

/* The next number of a fixed sequence (xorshift64*). */
uint64_t next_random(uint64_t *state);

/* FNV-1a. */
uint64_t fold(uint64_t sum, const void *data, size_t bytes);
#define FOLD_START 0xcbf29ce484222325ull

void prove_numbers(void);
void prove_signals(void);
void prove_threads(void);
void prove_memory(void);
void prove_processes(void);

/* Writes the given number of MiB of fixed, compressible bytes to standard output. */
void write_data(int megabytes);

/* Answers each line of standard input with "CLOCK <line> <seconds>.<nanoseconds>" until "end" comes; between the lines it sleeps, or with the mode
 * "busy" reads clocks without pause. Fails when any clock goes back. */
void watch_clock(const char *mode);

#endif
