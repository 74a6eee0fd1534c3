/* What Cython cannot say: atomics, the futex, bit scans, and the stop hook of test builds.
 * Static inline functions only; no data (each module would have its own copy). */
#ifndef SCAMEM_WORDS_H
#define SCAMEM_WORDS_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* volatile: the compiler keeps every store, and keeps them in the order of the source. */
typedef volatile unsigned long long scamem_word;
typedef scamem_word *scamem_words;
typedef unsigned long long scamem_u64;

#ifdef SCAMEM_STOP_HOOK
/* Test builds: the process named in word 32 stops itself (signal in word 34) at the store on
 * which the countdown in word 33 ends. layout.py has the places. */
static inline void scamem_stop(scamem_word *w) {
    if (__builtin_expect(w[32] != 0, 0) && w[32] == (scamem_u64)getpid() && --w[33] == 0) {
        int number = (int)w[34];
        w[32] = 0;
        w[35]++;
        kill(getpid(), number);
    }
}
#else
#define scamem_stop(w) ((void)0)
#endif

static inline void scamem_store(scamem_word *w, scamem_u64 at, scamem_u64 value) {
    /* Release order costs nothing on x86-64 and, on aarch64, keeps an undo entry before its word
     * for whoever rolls back on another processor. */
    __atomic_store_n(w + at, value, __ATOMIC_RELEASE);
    scamem_stop(w);
}
static inline scamem_u64 scamem_load_acquire(scamem_word *w, scamem_u64 at) {
    return __atomic_load_n(w + at, __ATOMIC_ACQUIRE);
}
static inline int scamem_compare_exchange(scamem_word *w, scamem_u64 at, scamem_u64 old,
                                          scamem_u64 value) {
    int done = __atomic_compare_exchange_n(w + at, &old, value, 0, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST);
    scamem_stop(w);
    return done;
}
static inline scamem_u64 scamem_exchange(scamem_word *w, scamem_u64 at, scamem_u64 value) {
    scamem_u64 old = __atomic_exchange_n(w + at, value, __ATOMIC_SEQ_CST);
    scamem_stop(w);
    return old;
}
static inline scamem_u64 scamem_trailing_zeros(scamem_u64 v) {
    return v ? (scamem_u64)__builtin_ctzll(v) : 64;
}
static inline scamem_u64 scamem_leading_zeros(scamem_u64 v) {
    return v ? (scamem_u64)__builtin_clzll(v) : 64;
}
static inline scamem_u64 scamem_low(scamem_u64 v) { return v & 0xFFFFFFFFull; }
static inline scamem_u64 scamem_high(scamem_u64 v) { return v >> 32; }
static inline scamem_u64 scamem_pair(scamem_u64 low, scamem_u64 high) { return low | high << 32; }
static inline scamem_u64 scamem_monotonic_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (scamem_u64)t.tv_sec * 1000000000ull + (scamem_u64)t.tv_nsec;
}
/* The futex is the low half of a word (both platforms are little-endian). */
static inline int scamem_futex_wait(scamem_word *w, scamem_u64 at, scamem_u64 seen,
                                    scamem_u64 nap_ns) {
    struct timespec t = {(time_t)(nap_ns / 1000000000ull), (long)(nap_ns % 1000000000ull)};
    long r = syscall(SYS_futex, (uint32_t *)(w + at), FUTEX_WAIT, (uint32_t)seen, &t, 0, 0);
    return r == 0 ? 0 : errno;
}
static inline int scamem_futex_wake(scamem_word *w, scamem_u64 at, int waiters) {
    return (int)syscall(SYS_futex, (uint32_t *)(w + at), FUTEX_WAKE, waiters, 0, 0, 0);
}
#endif
