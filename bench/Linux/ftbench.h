/* ftbench: the CPU, system call and disk workloads that compare VM monitors. One static program, baseline x86-64.
 *
 * Each workload prints "FTBENCH-START name" and "FTBENCH-END name checksum" around its work; the host times the two lines as
 * they appear on the console, because a guest's own clock is not to be trusted under a VM monitor. Equal builds give equal
 * checksums on every machine. */
#ifndef FTBENCH_H
#define FTBENCH_H

#include <stddef.h>
#include <stdint.h>

/* What a workload computed, folded to 64 bits. */
typedef uint64_t (*workload)(const char *disk);

/* Prints what failed with errno's text and ends the program with status 1: a benchmark of half the work would mislead. */
void fail(const char *what);

/* The next number of a fixed sequence (xorshift64*); the state must not be zero. */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dull;
}

/* FNV-1a, for folding bytes into a checksum. */
static inline uint64_t fold(uint64_t sum, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        sum = (sum ^ p[i]) * 0x100000001b3ull;
    return sum;
}

#define FOLD_START 0xcbf29ce484222325ull

uint64_t run_sha256(const char *disk);
uint64_t run_sieve(const char *disk);
uint64_t run_qsort(const char *disk);
uint64_t run_interp(const char *disk);
uint64_t run_matmul(const char *disk);
uint64_t run_nbody(const char *disk);
uint64_t run_memcpy(const char *disk);
uint64_t run_repmovs(const char *disk);
uint64_t run_chase(const char *disk);
uint64_t run_getpid(const char *disk);
uint64_t run_forkexec(const char *disk);
uint64_t run_pipe(const char *disk);
uint64_t run_pgfault(const char *disk);
uint64_t run_gzip(const char *disk);
uint64_t run_blkwrite(const char *disk);
uint64_t run_blkread(const char *disk);
uint64_t run_blksync(const char *disk);

#endif
