/* double, long double (x87) and SSE: results are printed bit for bit. */
#define _GNU_SOURCE
#include "ftproof.h"

#include <fenv.h>
#include <immintrin.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SAMPLES 4000

static double sample(uint64_t *state)
{
    /* One in eight is any bit pattern: denormals, infinities, NaNs. The others are of everyday size. */
    uint64_t bits = next_random(state);
    if ((bits >> 60) >= 2)
        return (double)(int64_t)bits * 0x1p-56;
    double any;
    bits = next_random(state);
    memcpy(&any, &bits, sizeof any);
    return any;
}

static uint64_t fold_extended(uint64_t sum, long double value)
{
    return fold(sum, &value, 10); /* the six bytes after the ten are padding */
}

static void doubles(const char *rounding, int mode)
{
    volatile double a, b;
    uint64_t state = 3, sum = FOLD_START;
    fesetround(mode);
    feclearexcept(FE_ALL_EXCEPT);
    for (int i = 0; i < SAMPLES; i++) {
        a = sample(&state);
        b = sample(&state);
        volatile double r[] = {a + b, a - b, a * b, a / b, sqrt(a), (double)(float)a, (double)lrint(a), a < b ? 1 : a > b ? 2 : 3};
        sum = fold(sum, (const void *)r, sizeof r);
    }
    int flags = fetestexcept(FE_ALL_EXCEPT);
    fesetround(FE_TONEAREST);
    printf("double %s %016llx flags %x\n", rounding, (unsigned long long)sum, flags);
}

static void extendeds(const char *rounding, int mode)
{
    volatile long double a, b;
    uint64_t state = 5, sum = FOLD_START;
    fesetround(mode);
    feclearexcept(FE_ALL_EXCEPT);
    for (int i = 0; i < SAMPLES; i++) {
        a = (long double)sample(&state) * 3.0L;
        b = (long double)sample(&state) / 7.0L;
        sum = fold_extended(sum, a + b);
        sum = fold_extended(sum, a * b);
        sum = fold_extended(sum, a / b);
        sum = fold_extended(sum, sqrtl(a));
        sum = fold_extended(sum, rintl(a));
        sum = fold_extended(sum, (long double)(double)a);
        sum = fold_extended(sum, (long double)(int64_t)(fabsl(b) < 1e18L ? b : 0));
    }
    int flags = fetestexcept(FE_ALL_EXCEPT);
    fesetround(FE_TONEAREST);
    printf("long double %s %016llx flags %x\n", rounding, (unsigned long long)sum, flags);
}

/* The x87 unit's own functions, and numbers in decimal, binary-coded and integer form. */
static void x87_functions(void)
{
    uint64_t state = 7, sum = FOLD_START;
    for (int i = 0; i < SAMPLES; i++) {
        long double x = (long double)(int64_t)next_random(&state) * 0x1p-60L, y = (long double)(int64_t)next_random(&state) * 0x1p-61L, r, s;
        unsigned short status;
        unsigned char packed[10];
        __asm__("fsincos" : "=t"(r), "=u"(s) : "0"(x));
        sum = fold_extended(fold_extended(sum, r), s);
        __asm__("fpatan" : "=t"(r) : "0"(x), "u"(y) : "st(1)");
        sum = fold_extended(sum, r);
        __asm__("f2xm1" : "=t"(r) : "0"(x / 16));
        sum = fold_extended(sum, r);
        __asm__("fyl2x" : "=t"(r) : "0"(fabsl(x) + 1e-9L), "u"(y) : "st(1)");
        sum = fold_extended(sum, r);
        __asm__("fprem1\n\tfnstsw %1" : "=t"(r), "=a"(status) : "0"(x), "u"(y));
        sum = fold_extended(sum, r) ^ (status & 0x4700);
        __asm__("fscale" : "=t"(r) : "0"(x), "u"(y));
        sum = fold_extended(sum, r);
        __asm__("fbstp %0" : "=m"(packed) : "t"(x * 1e15L) : "st");
        sum = fold(sum, packed, sizeof packed);
        sum = fold_extended(sum, sinl(x) + expl(y) + logl(fabsl(x) + 1) + powl(fabsl(y) + 1, x));
    }
    printf("x87 functions %016llx\n", (unsigned long long)sum);
    printf("printed %.25Lg %La %.17g %a\n", 1.0L / 3.0L, 2.0L / 3.0L, 0.1 + 0.2, 1e-310);
}

__attribute__((target("sse4.2,popcnt"))) static void vectors(void)
{
    uint64_t state = 11, sum = FOLD_START;
    uint32_t crc = 0;
    for (int i = 0; i < SAMPLES; i++) {
        __m128i a = _mm_set_epi64x((long long)next_random(&state), (long long)next_random(&state));
        __m128i b = _mm_set_epi64x((long long)next_random(&state), (long long)next_random(&state));
        __m128 f = _mm_cvtepi32_ps(a), g = _mm_cvtepi32_ps(b);
        __m128d d = _mm_cvtepi32_pd(a);
        __m128i out[] = {
            _mm_adds_epi16(a, b), _mm_madd_epi16(a, b), _mm_mul_epu32(a, b), _mm_sad_epu8(a, b), _mm_packus_epi16(a, b),
            _mm_shuffle_epi8(a, b), _mm_maddubs_epi16(a, b), _mm_mulhrs_epi16(a, b), _mm_alignr_epi8(a, b, 5),
            _mm_mullo_epi32(a, b), _mm_minpos_epu16(a), _mm_mpsadbw_epu8(a, b, 5), _mm_cmpgt_epi64(a, b), _mm_blendv_epi8(a, b, a),
            _mm_castps_si128(_mm_div_ps(f, g)), _mm_castps_si128(_mm_sqrt_ps(f)), _mm_castps_si128(_mm_dp_ps(f, g, 0xf1)),
            _mm_castps_si128(_mm_round_ps(_mm_div_ps(f, g), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)),
            _mm_castpd_si128(_mm_hadd_pd(d, d)), _mm_cvttpd_epi32(d), _mm_cmpistrm(a, b, 0x4c), _mm_cmpestrm(a, 11, b, 13, 0x18),
        };
        sum = fold(sum, out, sizeof out);
        crc = (uint32_t)_mm_crc32_u64(crc, (uint64_t)_mm_cvtsi128_si64(a)) + (uint32_t)_mm_popcnt_u64((uint64_t)_mm_cvtsi128_si64(b));
        crc += (uint32_t)_mm_cmpistri(a, b, 0x08) + (uint32_t)_mm_testz_si128(a, b);
    }
    printf("vectors %016llx crc %08x\n", (unsigned long long)sum, crc);
}

/* Denormals as zero and flushed to zero: the mode is the guest's own, and nobody else's arithmetic may change it. */
static void denormals(void)
{
    volatile double tiny = 0x1p-1070, small = 0x1p-1000;
    unsigned saved = _mm_getcsr();
    for (unsigned mode = 0; mode < 4; mode++) {
        _mm_setcsr((saved & ~0x8040u & ~0x3fu) | (mode & 1 ? 0x8000u : 0) | (mode & 2 ? 0x40u : 0));
        volatile double sum = tiny + tiny, product = small * small * 0x1p950, kept = tiny * 0x1p100;
        unsigned flags = _mm_getcsr() & 0x3f;
        _mm_setcsr(saved);
        printf("denormals mode %u %a %a %a flags %x\n", mode, sum, product, kept, flags);
    }
}

void prove_numbers(void)
{
    static const struct {
        const char *name;
        int mode;
    } roundings[] = {{"nearest", FE_TONEAREST}, {"down", FE_DOWNWARD}, {"up", FE_UPWARD}, {"zero", FE_TOWARDZERO}};
    for (size_t i = 0; i < sizeof roundings / sizeof *roundings; i++) {
        doubles(roundings[i].name, roundings[i].mode);
        extendeds(roundings[i].name, roundings[i].mode);
    }
    x87_functions();
    vectors();
    denormals();
}
