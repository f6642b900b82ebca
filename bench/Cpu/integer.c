// Integer programs: sieve, crc32, sha256, qsort, interp, strmem. Each returns a checksum and uses only its arena (32 MiB).
#include "freestanding.h"

long sieve(void *arena)
{
    enum { Limit = 2000000, Rounds = 60 };
    u8 *composite = arena;
    long primes = 0;
    for (int round = 0; round < Rounds; round++) {
        for (int i = 0; i < Limit; i++) {
            composite[i] = 0;
        }
        for (long i = 2; i * i < Limit; i++) {
            if (!composite[i]) {
                for (long j = i * i; j < Limit; j += i) {
                    composite[j] = 1;
                }
            }
        }
        for (int i = 2; i < Limit; i++) {
            primes += !composite[i];
        }
    }
    return primes;
}

long crc32(void *arena)
{
    enum { Length = 1 << 20, Rounds = 80 };
    u32 *table = arena;
    u8 *data = (u8 *)arena + 4096;
    for (u32 i = 0; i < 256; i++) {
        u32 value = i;
        for (int bit = 0; bit < 8; bit++) {
            value = value & 1 ? (value >> 1) ^ 0xEDB88320u : value >> 1;
        }
        table[i] = value;
    }
    u64 seed = 88172645463325252ul;
    for (int i = 0; i < Length; i++) {
        data[i] = (u8)next_random(&seed);
    }
    u32 crc = ~0u;
    for (int round = 0; round < Rounds; round++) {
        for (int i = 0; i < Length; i++) {
            crc = table[(u8)(crc ^ data[i])] ^ (crc >> 8);
        }
    }
    return ~crc;
}

static const u32 sha_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline u32 rotate(u32 value, int count)
{
    return (value >> count) | (value << (32 - count));
}

static NOINLINE void sha_block(u32 *state, const u8 *block)
{
    u32 w[64];
    for (int i = 0; i < 16; i++) {
        w[i] = (u32)block[4 * i] << 24 | (u32)block[4 * i + 1] << 16 | (u32)block[4 * i + 2] << 8 | block[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        u32 s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >> 3);
        u32 s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >> 10);
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    u32 a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i++) {
        u32 t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + sha_constants[i] + w[i];
        u32 t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g; g = f; f = e; e = d + t1; d = c; c = b; b = a; a = t1 + t2;
    }
    state[0] += a; state[1] += b; state[2] += c; state[3] += d; state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}

long sha256(void *arena)
{
    enum { Length = 1 << 18, Rounds = 180 };
    u32 *state = arena;
    u8 *data = (u8 *)arena + 4096;
    u64 seed = 1234567;
    for (int i = 0; i < Length; i++) {
        data[i] = (u8)next_random(&seed);
    }
    static const u32 start[8] = {
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
    };
    for (int i = 0; i < 8; i++) {
        state[i] = start[i];
    }
    for (int round = 0; round < Rounds; round++) {
        for (int i = 0; i < Length; i += 64) {
            sha_block(state, data + i);
        }
    }
    return (long)((u64)state[0] << 32 | state[7]);
}

static void quicksort(int *values, long low, long high)
{
    while (low < high) {
        int pivot = values[(low + high) / 2];
        long i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot) {
                i++;
            }
            while (values[j] > pivot) {
                j--;
            }
            if (i <= j) {
                int swap = values[i];
                values[i++] = values[j];
                values[j--] = swap;
            }
        }
        if (j - low < high - i) {
            quicksort(values, low, j);
            low = i;
        } else {
            quicksort(values, i, high);
            high = j;
        }
    }
}

long qsort(void *arena)
{
    enum { Count = 500000, Rounds = 5 };
    int *values = arena;
    u64 seed = 42;
    u64 sum = 0;
    for (int round = 0; round < Rounds; round++) {
        for (int i = 0; i < Count; i++) {
            values[i] = (int)next_random(&seed);
        }
        quicksort(values, 0, Count - 1);
        for (int i = 0; i < Count; i += 997) {
            sum = sum * 31 + (u32)values[i];
        }
    }
    return (long)sum;
}

enum { Push, Add, Subtract, Multiply, Load, Store, JumpIfNotZero, Xor, Halt };

long interp(void *arena)
{
    // v0 = 12345; v1 = 18,000,000; do { v0 = (v0 * 3 + v1) ^ v1; v1 = v1 - 1; } while (v1 != 0)
    static const u32 source[] = {
        Push, 18000000, Store, 1,
        Load, 0, Push, 3, Multiply, Load, 1, Add, Load, 1, Xor, Store, 0,
        Load, 1, Push, 1, Subtract, Store, 1,
        Load, 1, JumpIfNotZero, 4, Halt,
    };
    u64 *variables = arena;
    u64 *stack = variables + 16;
    u32 *code = (u32 *)(variables + 512);
    for (u32 i = 0; i < sizeof source / sizeof *source; i++) {
        code[i] = source[i];
    }
    variables[0] = 12345;
    u64 *top = stack;
    for (const u32 *pc = code;;) {
        switch (*pc++) {
        case Push: *top++ = *pc++; break;
        case Add: top--; top[-1] += *top; break;
        case Subtract: top--; top[-1] -= *top; break;
        case Multiply: top--; top[-1] *= *top; break;
        case Xor: top--; top[-1] ^= *top; break;
        case Load: *top++ = variables[*pc++]; break;
        case Store: variables[*pc++] = *--top; break;
        case JumpIfNotZero: pc = *--top ? code + *pc : pc + 1; break;
        default: return (long)variables[0];
        }
    }
}

static NOINLINE long string_length(const char *text)
{
    long length = 0;
    while (text[length]) {
        length++;
    }
    return length;
}

static NOINLINE void copy_bytes(u8 *to, const u8 *from, long length)
{
    long i = 0;
    for (; i + 8 <= length; i += 8) {
        *(u64 __attribute__((may_alias, aligned(1))) *)(to + i) = *(const u64 __attribute__((may_alias, aligned(1))) *)(from + i);
    }
    for (; i < length; i++) {
        to[i] = from[i];
    }
}

static NOINLINE int compare_strings(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (u8)*a - (u8)*b;
}

static NOINLINE long find_byte(const u8 *bytes, long length, u8 wanted)
{
    for (long i = 0; i < length; i++) {
        if (bytes[i] == wanted) {
            return i;
        }
    }
    return -1;
}

long strmem(void *arena)
{
    enum { Lines = 4096, Stride = 128, Rounds = 400 };
    char *text = arena;
    u8 *copy = (u8 *)arena + Lines * Stride;
    u64 seed = 99;
    for (int line = 0; line < Lines; line++) {
        int length = 40 + (int)(next_random(&seed) % 80);
        for (int i = 0; i < length; i++) {
            text[line * Stride + i] = 'a' + (char)(next_random(&seed) % 3);
        }
        text[line * Stride + length] = 0;
    }
    long sum = 0;
    for (int round = 0; round < Rounds; round++) {
        for (int line = 0; line < Lines; line++) {
            const char *here = text + line * Stride;
            const char *other = text + ((line * 7 + round) % Lines) * Stride;
            long length = string_length(here);
            copy_bytes(copy + (line & 63) * 131, (const u8 *)here, length + 1);
            sum += compare_strings((const char *)copy + (line & 63) * 131, other) + length;
            sum += find_byte((const u8 *)here, length, 'd');
        }
    }
    return sum;
}
