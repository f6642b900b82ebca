/* Work of the CPU alone: integers, branches, floating point. */
#include "ftbench.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

/* FIPS 180-4, section 6.2.2. */
static void sha256_block(uint32_t h[8], const unsigned char *p)
{
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7]
               + (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(s, h, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6]))
                      + sha256_constants[i] + w[i];
        uint32_t t2 = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        h[i] += s[i];
}

/* 64 MiB of generated data. */
uint64_t run_sha256(const char *disk)
{
    (void)disk;
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint64_t block[8], state = 1;
    for (int i = 0; i < 64 << 20; i += 64) {
        for (int j = 0; j < 8; j++)
            block[j] = next_random(&state);
        sha256_block(h, (unsigned char *)block);
    }
    return fold(FOLD_START, h, sizeof h);
}

/* Primes below 16 million, twice. */
uint64_t run_sieve(const char *disk)
{
    (void)disk;
    enum { LIMIT = 16 << 20, ROUNDS = 2 };
    unsigned char *composite = malloc(LIMIT);
    if (!composite)
        fail("malloc");
    uint64_t count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        memset(composite, 0, LIMIT);
        for (uint32_t i = 2; i < LIMIT; i++) {
            if (composite[i])
                continue;
            count += i;
            for (uint64_t j = (uint64_t)i * i; j < LIMIT; j += i)
                composite[j] = 1;
        }
    }
    free(composite);
    return count;
}

static int compare(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Four million integers through the C library's qsort. */
uint64_t run_qsort(const char *disk)
{
    (void)disk;
    enum { COUNT = 4 << 20 };
    int32_t *numbers = malloc(COUNT * sizeof *numbers);
    if (!numbers)
        fail("malloc");
    uint64_t state = 7;
    for (int i = 0; i < COUNT; i++)
        numbers[i] = (int32_t)next_random(&state);
    qsort(numbers, COUNT, sizeof *numbers, compare);
    uint64_t sum = 0;
    for (int i = 0; i < COUNT; i++)
        sum = sum * 31 + (uint32_t)numbers[i];
    free(numbers);
    return sum;
}

enum operation { PUSH, ADD, XOR, MULTIPLY, SHIFT, SWAP, DUPLICATE, DROP, JUMP_IF_ODD, DECREMENT, JUMP_IF_LEFT, HALT };

/* A stack machine whose branches depend on its data: hard on branch prediction and on translated indirect jumps. */
uint64_t run_interp(const char *disk)
{
    (void)disk;
    static const unsigned char program[] = {
        DUPLICATE, SHIFT, XOR, JUMP_IF_ODD, 9, PUSH, 37, MULTIPLY, ADD, DUPLICATE, PUSH, 11, ADD, JUMP_IF_ODD, 19,
        SWAP, PUSH, 3, XOR, DUPLICATE, SHIFT, ADD, DECREMENT, JUMP_IF_LEFT, 0, HALT};
    uint64_t stack[64] = {1, 2, 3, 4};
    uint64_t left = 8000000;
    unsigned top = 3, pc = 0;
    for (;;) {
        switch ((enum operation)program[pc++]) {
        case PUSH: stack[top = (top + 1) & 63] = program[pc++]; break;
        case ADD: stack[(top - 1) & 63] += stack[top]; top = (top - 1) & 63; break;
        case XOR: stack[(top - 1) & 63] ^= stack[top]; top = (top - 1) & 63; break;
        case MULTIPLY: stack[(top - 1) & 63] *= stack[top] | 1; top = (top - 1) & 63; break;
        case SHIFT: stack[top] = stack[top] >> 7 | stack[top] << 57; break;
        case SWAP: {
            uint64_t t = stack[top];
            stack[top] = stack[(top - 1) & 63];
            stack[(top - 1) & 63] = t;
            break;
        }
        case DUPLICATE: stack[(top + 1) & 63] = stack[top]; top = (top + 1) & 63; break;
        case DROP: top = (top - 1) & 63; break;
        case JUMP_IF_ODD: pc = stack[top] & 1 ? program[pc] : pc + 1; break;
        case DECREMENT: left--; break;
        case JUMP_IF_LEFT: pc = left ? program[pc] : pc + 1; break;
        case HALT: return fold(FOLD_START, stack, sizeof stack);
        }
    }
}

/* Product of two 256 x 256 matrices of doubles, sixteen times. */
uint64_t run_matmul(const char *disk)
{
    (void)disk;
    enum { N = 256, ROUNDS = 16 };
    static double a[N][N], b[N][N], c[N][N];
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            a[i][j] = (double)((i * 7 + j) % 13) / 3.0;
            b[i][j] = (double)((i + j * 5) % 17) / 7.0;
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < N; j++) {
                double sum = 0;
                for (int k = 0; k < N; k++)
                    sum += a[i][k] * b[k][j];
                c[i][j] = sum;
            }
        }
        a[round][round] += c[N - 1][N - 1] * 1e-6;
    }
    return fold(FOLD_START, c, sizeof c);
}

static double square_root(double x)
{
    __asm__("sqrtsd %1, %0" : "=x"(x) : "x"(x));
    return x;
}

/* Five bodies under gravity, two million steps. */
uint64_t run_nbody(const char *disk)
{
    (void)disk;
    enum { BODIES = 5, STEPS = 2000000 };
    double position[BODIES][3], velocity[BODIES][3], mass[BODIES];
    for (int i = 0; i < BODIES; i++) {
        mass[i] = i == 0 ? 40.0 : 0.01 / i;
        for (int d = 0; d < 3; d++) {
            position[i][d] = i == 0 ? 0 : (double)((i * 5 + d * 3) % 11) + i * 4.5;
            velocity[i][d] = i == 0 ? 0 : (double)((i * 3 + d * 7) % 5 - 2) * 0.6;
        }
    }
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < BODIES; i++) {
            for (int j = i + 1; j < BODIES; j++) {
                double delta[3], distance2 = 0;
                for (int d = 0; d < 3; d++) {
                    delta[d] = position[i][d] - position[j][d];
                    distance2 += delta[d] * delta[d];
                }
                double pull = 0.001 / (distance2 * square_root(distance2));
                for (int d = 0; d < 3; d++) {
                    velocity[i][d] -= delta[d] * mass[j] * pull;
                    velocity[j][d] += delta[d] * mass[i] * pull;
                }
            }
        }
        for (int i = 0; i < BODIES; i++)
            for (int d = 0; d < 3; d++)
                position[i][d] += 0.001 * velocity[i][d];
    }
    return fold(FOLD_START, position, sizeof position);
}
