#include "ftbench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    const char *name;
    workload run;
    int needs_disk;
};

static const struct entry entries[] = {
    {"sha256", run_sha256, 0},     {"sieve", run_sieve, 0},       {"qsort", run_qsort, 0},
    {"interp", run_interp, 0},     {"matmul", run_matmul, 0},     {"nbody", run_nbody, 0},
    {"memcpy", run_memcpy, 0},     {"repmovs", run_repmovs, 0},   {"chase", run_chase, 0},
    {"getpid", run_getpid, 0},     {"forkexec", run_forkexec, 0}, {"pipe", run_pipe, 0},
    {"pgfault", run_pgfault, 0},   {"gzip", run_gzip, 0},         {"blkwrite", run_blkwrite, 1},
    {"blkread", run_blkread, 1},   {"blksync", run_blksync, 1},
};

void fail(const char *what)
{
    printf("FTBENCH-FAILED %s: %s\n", what, strerror(errno));
    exit(1);
}

static void run_one(const struct entry *entry, const char *disk)
{
    printf("FTBENCH-START %s\n", entry->name);
    uint64_t sum = entry->run(disk);
    printf("FTBENCH-END %s %016llx\n", entry->name, (unsigned long long)sum);
}

int main(int argc, char **argv)
{
    /* Unbuffered lines: the moment a line reaches the console is what the host measures. */
    setvbuf(stdout, NULL, _IOLBF, 1024);
    if (argc == 2 && !strcmp(argv[1], "nothing"))
        return 0; /* what forkexec executes */
    const char *disk = NULL;
    int first = 1;
    if (argc > 2 && !strcmp(argv[1], "-d")) {
        disk = argv[2];
        first = 3;
    }
    if (first >= argc) {
        printf("usage: ftbench [-d DISK] all | NAME...   (blk* overwrite DISK)\nworkloads:");
        for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
            printf(" %s", entries[i].name);
        printf("\n");
        return 2;
    }
    for (int a = first; a < argc; a++) {
        int found = 0;
        for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
            int all = !strcmp(argv[a], "all");
            if (!all && strcmp(argv[a], entries[i].name))
                continue;
            found = 1;
            if (!entries[i].needs_disk || disk) {
                run_one(&entries[i], disk);
            } else if (!all) {
                printf("ftbench: %s needs -d DISK\n", entries[i].name);
                return 2;
            }
        }
        if (!found) {
            printf("ftbench: no workload %s\n", argv[a]);
            return 2;
        }
    }
    return 0;
}
