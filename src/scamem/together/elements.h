/* Atomic operations on elements of 4 or 8 bytes, and waits on them. Static inline functions only. */
#ifndef SCAMEM_ELEMENTS_H
#define SCAMEM_ELEMENTS_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long long scamem_bits;
enum { SCAMEM_ADD, SCAMEM_SUB, SCAMEM_AND, SCAMEM_OR, SCAMEM_XOR, SCAMEM_EXCHANGE };

static inline scamem_bits scamem_atomic_load(void *at, int size) {
    if (size == 4) return __atomic_load_n((uint32_t *)at, __ATOMIC_SEQ_CST);
    return __atomic_load_n((uint64_t *)at, __ATOMIC_SEQ_CST);
}
static inline void scamem_atomic_store(void *at, int size, scamem_bits value) {
    if (size == 4) __atomic_store_n((uint32_t *)at, (uint32_t)value, __ATOMIC_SEQ_CST);
    else __atomic_store_n((uint64_t *)at, value, __ATOMIC_SEQ_CST);
}
#define SCAMEM_CHANGE(type) \
    switch (how) { \
    case SCAMEM_ADD: return __atomic_fetch_add((type *)at, (type)value, __ATOMIC_SEQ_CST); \
    case SCAMEM_SUB: return __atomic_fetch_sub((type *)at, (type)value, __ATOMIC_SEQ_CST); \
    case SCAMEM_AND: return __atomic_fetch_and((type *)at, (type)value, __ATOMIC_SEQ_CST); \
    case SCAMEM_OR: return __atomic_fetch_or((type *)at, (type)value, __ATOMIC_SEQ_CST); \
    case SCAMEM_XOR: return __atomic_fetch_xor((type *)at, (type)value, __ATOMIC_SEQ_CST); \
    default: return __atomic_exchange_n((type *)at, (type)value, __ATOMIC_SEQ_CST); \
    }
/* Returns the old value. */
static inline scamem_bits scamem_atomic_change(void *at, int size, int how, scamem_bits value) {
    if (size == 4) { SCAMEM_CHANGE(uint32_t) }
    SCAMEM_CHANGE(uint64_t)
}
static inline int scamem_atomic_swap_if(void *at, int size, scamem_bits old, scamem_bits value) {
    if (size == 4) {
        uint32_t seen = (uint32_t)old;
        return __atomic_compare_exchange_n((uint32_t *)at, &seen, (uint32_t)value, 0,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    uint64_t seen = old;
    return __atomic_compare_exchange_n((uint64_t *)at, &seen, value, 0, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}
/* The futex is the element's low half (both platforms are little-endian). */
static inline int scamem_element_wait(void *at, uint32_t seen, long long nap_ns) {
    struct timespec t = {(time_t)(nap_ns / 1000000000), (long)(nap_ns % 1000000000)};
    return syscall(SYS_futex, (uint32_t *)at, FUTEX_WAIT, seen, &t, 0, 0) == 0 ? 0 : errno;
}
static inline int scamem_element_wake(void *at, int count) {
    return (int)syscall(SYS_futex, (uint32_t *)at, FUTEX_WAKE, count, 0, 0, 0);
}
#endif
