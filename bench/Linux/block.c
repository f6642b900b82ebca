/* Work of the disk. Each overwrites the first 32 MiB of the device it is given. */
#define _GNU_SOURCE
#include "ftbench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { TOTAL = 32 << 20, CHUNK = 64 << 10 };

static int open_disk(const char *disk, int flags)
{
    int file = open(disk, flags);
    if (file < 0)
        fail(disk);
    return file;
}

static uint64_t *aligned(size_t bytes)
{
    void *p = NULL;
    if (posix_memalign(&p, 4096, bytes))
        fail("posix_memalign");
    return p;
}

static void fill(uint64_t *buffer, size_t bytes, uint64_t seed)
{
    for (size_t i = 0; i < bytes / 8; i++)
        buffer[i] = next_random(&seed);
}

/* 32 MiB through the page cache, then fsync. */
uint64_t run_blkwrite(const char *disk)
{
    int file = open_disk(disk, O_WRONLY);
    uint64_t *buffer = aligned(CHUNK), sum = FOLD_START;
    for (int i = 0; i < TOTAL / CHUNK; i++) {
        fill(buffer, CHUNK, (uint64_t)i + 1);
        sum = fold(sum, buffer, 64);
        if (write(file, buffer, CHUNK) != CHUNK)
            fail("write");
    }
    if (fsync(file))
        fail("fsync");
    close(file);
    free(buffer);
    return sum;
}

/* The same 32 MiB by direct reads of 64 KiB; run after blkwrite, whose data the checksum covers. */
uint64_t run_blkread(const char *disk)
{
    int file = open_disk(disk, O_RDONLY | O_DIRECT);
    uint64_t *buffer = aligned(CHUNK), sum = FOLD_START;
    for (int i = 0; i < TOTAL / CHUNK; i++) {
        if (read(file, buffer, CHUNK) != CHUNK)
            fail("read");
        sum = fold(sum, buffer, 64);
    }
    close(file);
    free(buffer);
    return sum;
}

/* 500 synchronous writes of 4 KiB at scattered places. */
uint64_t run_blksync(const char *disk)
{
    int file = open_disk(disk, O_WRONLY | O_DIRECT | O_DSYNC);
    uint64_t *buffer = aligned(4096), state = 11, sum = FOLD_START;
    for (int i = 0; i < 500; i++) {
        off_t at = (off_t)(next_random(&state) % (TOTAL / 4096)) * 4096;
        fill(buffer, 4096, (uint64_t)i + 1000);
        if (pwrite(file, buffer, 4096, at) != 4096)
            fail("pwrite");
        sum = fold(sum, &at, sizeof at);
    }
    close(file);
    free(buffer);
    return sum;
}
