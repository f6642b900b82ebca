/* Work of the kernel: system calls, processes, page faults. */
#define _GNU_SOURCE
#include "ftbench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* One million system calls that do nothing. */
uint64_t run_getpid(const char *disk)
{
    (void)disk;
    uint64_t same = 0, pid = (uint64_t)getpid();
    for (int i = 0; i < 1000000; i++)
        same += (uint64_t)syscall(SYS_getpid) == pid;
    return same;
}

/* 300 processes, each executing this program anew. */
uint64_t run_forkexec(const char *disk)
{
    (void)disk;
    uint64_t good = 0;
    for (int i = 0; i < 300; i++) {
        pid_t child = fork();
        if (child < 0)
            fail("fork");
        if (child == 0) {
            execl("/proc/self/exe", "ftbench", "nothing", (char *)NULL);
            _exit(127);
        }
        int status;
        if (waitpid(child, &status, 0) != child)
            fail("waitpid");
        good += status == 0;
    }
    return good;
}

/* 100,000 round trips of one byte between two processes. */
uint64_t run_pipe(const char *disk)
{
    (void)disk;
    enum { TRIPS = 100000 };
    int there[2], back[2], status;
    if (pipe(there) || pipe(back))
        fail("pipe");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        unsigned char byte;
        close(there[1]);
        while (read(there[0], &byte, 1) == 1) {
            byte = (unsigned char)(byte * 5 + 1);
            if (write(back[1], &byte, 1) != 1)
                _exit(1);
        }
        _exit(0);
    }
    close(there[0]);
    unsigned char byte = 3;
    uint64_t sum = FOLD_START;
    for (int i = 0; i < TRIPS; i++) {
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            fail("pipe ping-pong");
        sum = fold(sum, &byte, 1);
    }
    close(there[1]);
    if (waitpid(child, &status, 0) != child || status != 0)
        fail("pipe child");
    close(back[0]);
    close(back[1]);
    return sum;
}

/* 200,000 pages mapped, touched and unmapped, 16 at a time. */
uint64_t run_pgfault(const char *disk)
{
    (void)disk;
    enum { PAGES = 200000, AT_ONCE = 16, PAGE = 4096 };
    uint64_t sum = 0;
    for (int done = 0; done < PAGES; done += AT_ONCE) {
        char *p = mmap(NULL, AT_ONCE * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            fail("mmap");
        for (int i = 0; i < AT_ONCE; i++) {
            sum += (unsigned char)p[i * PAGE] == 0;
            p[i * PAGE] = (char)(done + i);
            sum = sum * 3 + (unsigned char)p[i * PAGE];
        }
        if (munmap(p, AT_ONCE * PAGE))
            fail("munmap");
    }
    return sum;
}

/* busybox or GNU gzip over 32 MiB of text-like data; the checksum is of what comes back after unpacking. */
uint64_t run_gzip(const char *disk)
{
    (void)disk;
    enum { BYTES = 32 << 20, CHUNK = 1 << 16 };
    char name[] = "/tmp/ftbench-XXXXXX", command[256];
    static char chunk[CHUNK];
    int file = mkstemp(name);
    if (file < 0)
        fail("mkstemp");
    uint64_t state = 5;
    for (int done = 0; done < BYTES; done += CHUNK) {
        for (int i = 0; i < CHUNK; i++) {
            uint64_t r = next_random(&state);
            chunk[i] = i >= 64 && (r & 7) ? chunk[i - 64 + (int)(r >> 61)] : (char)('a' + (r >> 8) % 26);
        }
        if (write(file, chunk, CHUNK) != CHUNK)
            fail("write");
    }
    close(file);
    snprintf(command, sizeof command, "gzip -c %s > %s.gz && gzip -dc %s.gz > %s && rm %s.gz", name, name, name, name, name);
    if (system(command) != 0)
        fail("gzip");
    FILE *back = fopen(name, "r");
    if (!back)
        fail("fopen");
    uint64_t sum = FOLD_START;
    size_t got;
    while ((got = fread(chunk, 1, CHUNK, back)) > 0)
        sum = fold(sum, chunk, got);
    fclose(back);
    unlink(name);
    return sum;
}
