#include "ftproof.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    void (*run)(void);
} proofs[] = {
    {"numbers", prove_numbers}, {"signals", prove_signals},     {"threads", prove_threads},
    {"memory", prove_memory},   {"processes", prove_processes},
};

void fail(const char *what)
{
    printf("FTPROOF-FAILED %s (errno: %s)\n", what, strerror(errno));
    exit(1);
}

uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dull;
}

uint64_t fold(uint64_t sum, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        sum = (sum ^ p[i]) * 0x100000001b3ull;
    return sum;
}

void write_data(int megabytes)
{
    static char chunk[1 << 20];
    uint64_t state = 17;
    for (int m = 0; m < megabytes; m++) {
        for (size_t i = 0; i < sizeof chunk; i++) {
            uint64_t r = next_random(&state);
            chunk[i] = i >= 64 && (r & 7) ? chunk[i - 64 + (r >> 61)] : (char)('a' + (r >> 8) % 26);
        }
        MUST(fwrite(chunk, sizeof chunk, 1, stdout) == 1);
    }
    MUST(fflush(stdout) == 0);
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "data")) {
        write_data(atoi(argv[2]));
        return 0;
    }
    setvbuf(stdout, NULL, _IOLBF, 4096);
    if (argc == 3 && !strcmp(argv[1], "clock")) {
        watch_clock(argv[2]);
        return 0;
    }
    if (argc == 2 && !strcmp(argv[1], "nothing"))
        return 0; /* what the processes proof executes */
    for (int a = 1; a < argc; a++) {
        size_t i = 0;
        while (i < sizeof proofs / sizeof *proofs && strcmp(argv[a], proofs[i].name))
            i++;
        if (i == sizeof proofs / sizeof *proofs) {
            printf("ftproof: no proof %s\n", argv[a]);
            return 2;
        }
        printf("FTPROOF-START %s\n", argv[a]);
        proofs[i].run();
        printf("FTPROOF-END %s\n", argv[a]);
    }
    return 0;
}
