/* Work on memory: copies with SSE registers and with string instructions, dependent loads. */
#include "ftbench.h"

#include <emmintrin.h>
#include <stdlib.h>

enum { COPY_BYTES = 8 << 20 };

static char *buffer(size_t bytes)
{
    char *p = NULL;
    if (posix_memalign((void **)&p, 4096, bytes))
        fail("posix_memalign");
    for (size_t i = 0; i < bytes; i += 8)
        *(uint64_t *)(p + i) = i * 0x9e3779b97f4a7c15ull;
    return p;
}

/* 16-byte loads and stores, 80 rounds of copy and set over 8 MiB. */
uint64_t run_memcpy(const char *disk)
{
    (void)disk;
    char *from = buffer(COPY_BYTES), *to = buffer(COPY_BYTES);
    for (int round = 0; round < 80; round++) {
        for (size_t i = 0; i < COPY_BYTES; i += 64) {
            for (size_t j = 0; j < 64; j += 16)
                _mm_store_si128((__m128i *)(to + i + j), _mm_load_si128((const __m128i *)(from + i + j)));
        }
        __m128i value = _mm_set1_epi8((char)round);
        for (size_t i = 0; i < COPY_BYTES / 2; i += 64) {
            for (size_t j = 0; j < 64; j += 16)
                _mm_store_si128((__m128i *)(from + i + j), value);
        }
    }
    uint64_t sum = fold(FOLD_START, to, COPY_BYTES);
    free(from);
    free(to);
    return sum;
}

/* rep movsb, rep movsq and rep stosb over 8 MiB: every monitor that counts instructions must count their iterations. */
uint64_t run_repmovs(const char *disk)
{
    (void)disk;
    char *from = buffer(COPY_BYTES), *to = buffer(COPY_BYTES);
    for (int round = 0; round < 16; round++) {
        void *d = to;
        const void *s = from;
        size_t n = COPY_BYTES;
        __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
        d = from;
        s = to;
        n = COPY_BYTES / 8;
        __asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
        d = to;
        n = COPY_BYTES;
        __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(round) : "memory");
    }
    uint64_t sum = fold(FOLD_START, from, COPY_BYTES) ^ fold(FOLD_START, to, COPY_BYTES);
    free(from);
    free(to);
    return sum;
}

/* Ten million loads along a random cycle through 64 MiB. */
uint64_t run_chase(const char *disk)
{
    (void)disk;
    enum { COUNT = 8 << 20, LOADS = 10000000 };
    uint64_t *next = malloc((size_t)COUNT * sizeof *next), state = 99;
    if (!next)
        fail("malloc");
    for (uint64_t i = 0; i < COUNT; i++)
        next[i] = i;
    /* Sattolo's shuffle gives one cycle through all elements. */
    for (uint64_t i = COUNT - 1; i > 0; i--) {
        uint64_t j = next_random(&state) % i, t = next[i];
        next[i] = next[j];
        next[j] = t;
    }
    uint64_t at = 0;
    for (int i = 0; i < LOADS; i++)
        at = next[at];
    free(next);
    return at;
}
