// What the programs share. No libc, no writable globals: all state lives in the arena, so the image can be mapped read-only and executable.
#ifndef FREESTANDING_H
#define FREESTANDING_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

#define NOINLINE __attribute__((noinline))

// Marsaglia's xorshift64: the same numbers for every run of a program.
static inline u64 next_random(u64 *state)
{
    u64 x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

#endif
