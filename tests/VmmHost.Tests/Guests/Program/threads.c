/* Threads (clone), futexes, and atomics contended on one CPU. */
#define _GNU_SOURCE
#include "ftproof.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 8, ROUNDS = 20000, TRIPS = 20000, BORN = 500 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static long counted;
static atomic_long added;
static int turn;
static _Thread_local uint64_t own = FOLD_START;
static atomic_int word;
static __int128 wide;

static void add_wide(void)
{
    __int128 seen = wide;
    unsigned char done = 0;
    while (!done) {
        uint64_t low = (uint64_t)seen, high = (uint64_t)(seen >> 64);
        __int128 next = seen + ((__int128)1 << 63);
        __asm__ volatile("lock cmpxchg16b %1\n\tsetz %0" : "=q"(done), "+m"(wide), "+a"(low), "+d"(high)
                         : "b"((uint64_t)next), "c"((uint64_t)(next >> 64)) : "cc");
        seen = (__int128)high << 64 | low;
    }
}

static void *work(void *argument)
{
    long index = (long)argument;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&lock);
        counted++;
        pthread_mutex_unlock(&lock);
        atomic_fetch_add(&added, index + 1);
        add_wide();
        own = fold(own, &i, sizeof i);
        if (i % 1000 == 0)
            pthread_barrier_wait(&barrier);
    }
    for (int i = 0; i < 200; i++) { /* a ring: each waits for its turn */
        pthread_mutex_lock(&lock);
        while (turn % THREADS != index)
            pthread_cond_wait(&changed, &lock);
        turn++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    return (void *)own;
}

static void futex(int operation, int value)
{
    syscall(SYS_futex, &word, operation, value, NULL, NULL, 0);
}

static void *answer(void *unused)
{
    for (int i = 0; i < TRIPS; i++) {
        while (atomic_load(&word) != 1)
            futex(FUTEX_WAIT_PRIVATE, 0);
        atomic_store(&word, 0);
        futex(FUTEX_WAKE_PRIVATE, 1);
    }
    return unused;
}

static void *born(void *argument) { return (char *)argument + 1; }

void prove_threads(void)
{
    pthread_t threads[THREADS], other;
    uint64_t sum = 0;
    MUST(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (long i = 0; i < THREADS; i++)
        MUST(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        MUST(pthread_join(threads[i], &result) == 0);
        sum += (uint64_t)result;
    }
    printf("threads: counted %ld added %ld wide %016llx%016llx ring %d own %016llx\n", counted, atomic_load(&added),
           (unsigned long long)(wide >> 64), (unsigned long long)wide, turn, (unsigned long long)sum);

    MUST(pthread_create(&other, NULL, answer, NULL) == 0);
    for (int i = 0; i < TRIPS; i++) {
        atomic_store(&word, 1);
        futex(FUTEX_WAKE_PRIVATE, 1);
        while (atomic_load(&word) != 0)
            futex(FUTEX_WAIT_PRIVATE, 1);
    }
    MUST(pthread_join(other, NULL) == 0);
    printf("futex: %d round trips\n", TRIPS);

    long alive = 0;
    for (int i = 0; i < BORN; i++) {
        void *result;
        MUST(pthread_create(&other, NULL, born, (void *)(long)i) == 0 && pthread_join(other, &result) == 0);
        alive += (long)result;
    }
    printf("born and joined: %ld\n", alive);
}
