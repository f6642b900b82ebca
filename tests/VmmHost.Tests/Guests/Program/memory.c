/* Mappings: storms of mmap and munmap, protection changes, moves, shared and private pages, code written at run time. */
#define _GNU_SOURCE
#include "ftproof.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, SLOTS = 64, STEPS = 20000 };

static void storm(void)
{
    static struct { unsigned char *at; size_t pages; unsigned char value; int writable; } slots[SLOTS];
    uint64_t state = 29, sum = FOLD_START;
    for (int step = 0; step < STEPS; step++) {
        uint64_t r = next_random(&state);
        int i = (int)(r % SLOTS);
        size_t pages = 1 + (r >> 8) % 12;
        if (slots[i].at == NULL) {
            slots[i].at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            MUST(slots[i].at != MAP_FAILED);
            slots[i].pages = pages;
            slots[i].writable = 1;
            slots[i].value = (unsigned char)(r >> 16);
            for (size_t p = 0; p < pages; p++) {
                MUST(slots[i].at[p * PAGE + (r >> 24) % PAGE] == 0);
                memset(slots[i].at + p * PAGE, slots[i].value, PAGE);
            }
            continue;
        }
        MUST(slots[i].at[((r >> 32) % slots[i].pages) * PAGE + (r >> 40) % PAGE] == slots[i].value);
        switch ((r >> 56) % 5) {
        case 0:
            MUST(munmap(slots[i].at, slots[i].pages * PAGE) == 0);
            slots[i].at = NULL;
            break;
        case 1:
            slots[i].writable ^= 1;
            MUST(mprotect(slots[i].at, slots[i].pages * PAGE, slots[i].writable ? PROT_READ | PROT_WRITE : PROT_READ) == 0);
            break;
        case 2: {
            unsigned char *moved = mremap(slots[i].at, slots[i].pages * PAGE, (slots[i].pages + 3) * PAGE, MREMAP_MAYMOVE);
            MUST(moved != MAP_FAILED && moved[slots[i].pages * PAGE] == 0);
            MUST(mremap(moved, (slots[i].pages + 3) * PAGE, slots[i].pages * PAGE, 0) == moved);
            slots[i].at = moved;
            break;
        }
        case 3:
            if (slots[i].writable) {
                MUST(madvise(slots[i].at, slots[i].pages * PAGE, MADV_DONTNEED) == 0);
                MUST(slots[i].at[(slots[i].pages - 1) * PAGE] == 0);
                memset(slots[i].at, slots[i].value, slots[i].pages * PAGE);
            }
            break;
        default:
            sum = fold(sum, slots[i].at, slots[i].pages * PAGE);
        }
    }
    printf("mapping storm %016llx\n", (unsigned long long)sum);
}

static void copy_on_write(void)
{
    enum { PAGES = 512 };
    unsigned char *own = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *common = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(own != MAP_FAILED && common != MAP_FAILED);
    for (int p = 0; p < PAGES; p++)
        own[p * PAGE] = (unsigned char)p;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        for (int p = 0; p < PAGES; p++) {
            common[p] = own[p * PAGE];
            own[p * PAGE] = 0xee;
        }
        _exit(0);
    }
    int status, kept = 0, shared = 0;
    MUST(waitpid(child, &status, 0) == child && status == 0);
    for (int p = 0; p < PAGES; p++) {
        kept += own[p * PAGE] == (unsigned char)p;
        shared += common[p] == (unsigned char)p;
    }
    printf("after the child wrote: %d own, %d shared\n", kept, shared);
    munmap(own, PAGES * PAGE);
    munmap(common, PAGE);
}

/* Code written, run, changed in place, run again, through one mapping and through a second one of the same page. */
static void written_code(void)
{
    int file = memfd_create("code", 0);
    MUST(file >= 0 && ftruncate(file, PAGE) == 0);
    unsigned char *run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, file, 0);
    unsigned char *edit = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    MUST(run != MAP_FAILED && edit != MAP_FAILED);
    static const unsigned char code[] = {0xb8, 0, 0, 0, 0, 0x01, 0xf8, 0xc3}; /* mov eax, 0; add eax, edi; ret */
    memcpy(run, code, sizeof code);
    uint64_t sum = 0;
    for (int i = 0; i < 20000; i++) {
        memcpy((i & 1 ? edit : run) + 1, &i, sizeof i);
        __asm__ volatile("cpuid" ::"a"(0) : "rbx", "rcx", "rdx", "memory");
        sum = sum * 3 + (uint64_t)((int (*)(int))run)(i * 2);
    }
    printf("code rewritten: %016llx\n", (unsigned long long)sum);
    munmap(run, PAGE);
    munmap(edit, PAGE);
    close(file);
}

void prove_memory(void)
{
    storm();
    copy_on_write();
    written_code();
}
