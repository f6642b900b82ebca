/* Processes, pipes, system calls, and what clocks say. */
#define _GNU_SOURCE
#include "ftproof.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

static void executions(int count)
{
    int good = 0;
    fflush(stdout);
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "ftproof", "nothing", (char *)NULL);
            _exit(127);
        }
        int status;
        MUST(child > 0 && waitpid(child, &status, 0) == child);
        good += status == 0;
    }
    printf("processes: %d of %d\n", good, count);
}

static void system_calls(int count)
{
    long pid = getpid(), same = 0;
    for (int i = 0; i < count; i++)
        same += syscall(SYS_getpid) == pid;
    printf("getpid: %ld of %d\n", same, count);
}

static void ping_pong(int trips)
{
    int there[2], answer[2], status;
    MUST(pipe(there) == 0 && pipe(answer) == 0);
    fflush(stdout);
    pid_t child = fork();
    unsigned char byte = 3;
    if (child == 0) {
        close(there[1]);
        while (read(there[0], &byte, 1) == 1) {
            byte = (unsigned char)(byte * 5 + 1);
            if (write(answer[1], &byte, 1) != 1)
                _exit(1);
        }
        _exit(0);
    }
    close(there[0]);
    uint64_t sum = FOLD_START;
    for (int i = 0; i < trips; i++) {
        MUST(write(there[1], &byte, 1) == 1 && read(answer[0], &byte, 1) == 1);
        sum = fold(sum, &byte, 1);
    }
    close(there[1]);
    MUST(waitpid(child, &status, 0) == child && status == 0);
    close(answer[0]);
    close(answer[1]);
    printf("pipe: %d round trips %016llx\n", trips, (unsigned long long)sum);
}

void prove_processes(void)
{
    executions(300);
    system_calls(1000000);
    ping_pong(20000);
}

static uint64_t nanoseconds(clockid_t clock)
{
    struct timespec now;
    MUST(clock_gettime(clock, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

void watch_clock(const char *mode)
{
    static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW};
    enum { CLOCKS = sizeof clocks / sizeof *clocks };
    uint64_t last[CLOCKS] = {0}, tsc = 0, reads = 0;
    int busy = !strcmp(mode, "busy");
    char asked[64];
    printf("CLOCK-READY %s\n", mode);
    for (;;) {
        for (int i = 0; i < CLOCKS; i++) {
            uint64_t now = nanoseconds(clocks[i]), cycles = __rdtsc();
            MUST(now >= last[i]);
            MUST(cycles >= tsc);
            last[i] = now;
            tsc = cycles;
        }
        reads++;
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&input, 1, busy ? 0 : -1) == 0)
            continue;
        ssize_t got = read(STDIN_FILENO, asked, sizeof asked - 1);
        MUST(got > 0);
        asked[got] = 0;
        asked[strcspn(asked, "\r\n")] = 0;
        if (!strcmp(asked, "end"))
            break;
        uint64_t now = nanoseconds(CLOCK_REALTIME);
        printf("CLOCK %s %llu.%09llu\n", asked, (unsigned long long)(now / 1000000000), (unsigned long long)(now % 1000000000));
    }
    printf("CLOCK-END %s %s\n", mode, reads > 0 ? "never went back" : "was not read");
}
