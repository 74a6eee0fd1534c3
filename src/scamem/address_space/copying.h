/* Copies of memory: by the means that is fastest on the processor that this runs on.
 *
 * - Intel: `rep movsb` as long as the last cache holds the copy. memcpy of glibc is two to three
 *   times slower where the destination begins just below the source within a page, as with an array
 *   of NumPy (16 bytes into a page) that is copied to a frame.
 * - AMD: memcpy as long as the last cache holds the copy, so that its reader finds it there; then
 *   streaming stores, which do not read the destination first.
 * - Any other: memcpy.
 * Big copies are done by several threads, made for each and gone at its end: a pool that waits
 * would be a thread that every fork has to think of. docs/performance.md has the figures. */
#ifndef SCAMEM_COPYING_H
#define SCAMEM_COPYING_H
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <emmintrin.h>
#endif

enum { SCAMEM_COPY_THREADS_MAX = 16 };

typedef struct {
    size_t string_from; /* from so many bytes on `rep movsb`; 0: never */
    size_t string_to;   /* up to so many; beyond, memcpy streams by itself */
    size_t stream_from; /* from so many bytes on streaming stores; 0: never */
    size_t part_from;   /* from so many bytes on several threads */
    int threads;
} scamem_copying;

typedef struct {
    const scamem_copying *how;
    char *to;
    const char *from;
    size_t nbytes;
    int streaming;
} scamem_part;

#if defined(__x86_64__)
static inline void scamem_choose(scamem_copying *how, size_t cache_bytes) {
    unsigned int a = 0, b = 0, c = 0, d = 0, erms = 1u << 9;
    __builtin_cpu_init();
    if (__builtin_cpu_is("amd"))
        how->stream_from = cache_bytes / 2;
    else if (__builtin_cpu_is("intel") && __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & erms)
        how->string_from = 2048, how->string_to = cache_bytes / 2;
}

static inline void scamem_copy_string(char *to, const char *from, size_t nbytes) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(nbytes) : : "memory");
}

static inline void scamem_copy_streaming(char *to, const char *from, size_t nbytes) {
    size_t head = -(size_t)to & 63, at = head < nbytes ? head : nbytes;
    memcpy(to, from, at);
    for (; at + 64 <= nbytes; at += 64) {
        const __m128i *source = (const __m128i *)(from + at);
        __m128i *target = (__m128i *)(to + at);
        __m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1);
        __m128i c = _mm_loadu_si128(source + 2), d = _mm_loadu_si128(source + 3);
        _mm_prefetch((const char *)source + 1024, _MM_HINT_NTA);
        _mm_stream_si128(target, a);
        _mm_stream_si128(target + 1, b);
        _mm_stream_si128(target + 2, c);
        _mm_stream_si128(target + 3, d);
    }
    memcpy(to + at, from + at, nbytes - at);
    _mm_sfence();
}
#else
#define scamem_choose(how, cache_bytes) ((void)(cache_bytes))
#define scamem_copy_string memcpy
#define scamem_copy_streaming memcpy
#endif

static inline void *scamem_copy_part(void *given) {
    scamem_part *part = given;
    if (part->streaming)
        scamem_copy_streaming(part->to, part->from, part->nbytes);
    else if (part->how->string_from && part->nbytes >= part->how->string_from &&
             part->nbytes <= part->how->string_to)
        scamem_copy_string(part->to, part->from, part->nbytes);
    else
        memcpy(part->to, part->from, part->nbytes);
    return NULL;
}

/* Copy with several threads. What no thread could be made for, the caller copies itself. */
static inline void scamem_copy_parted(scamem_part whole) {
    scamem_part parts[SCAMEM_COPY_THREADS_MAX];
    pthread_t made[SCAMEM_COPY_THREADS_MAX];
    sigset_t all, before;
    int count = whole.how->threads, started = 1;
    size_t size = (whole.nbytes / count / 4096 + 1) * 4096; /* whole pages */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for Python's own threads */
    for (int k = 0; k < count; k++) {
        size_t start = k * size < whole.nbytes ? k * size : whole.nbytes;
        parts[k] = whole;
        parts[k].to += start;
        parts[k].from += start;
        parts[k].nbytes = whole.nbytes - start < size ? whole.nbytes - start : size;
    }
    while (started < count &&
           pthread_create(&made[started], NULL, scamem_copy_part, &parts[started]) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    scamem_copy_part(&parts[0]);
    for (int k = started; k < count; k++)
        scamem_copy_part(&parts[k]);
    for (int k = 1; k < started; k++)
        pthread_join(made[k], NULL);
}

static inline void scamem_copy(const scamem_copying *how, char *to, const char *from,
                               size_t nbytes) {
    scamem_part whole = {how, to, from, nbytes, how->stream_from && nbytes >= how->stream_from};
    if (how->threads > 1 && nbytes >= how->part_from)
        scamem_copy_parted(whole);
    else
        scamem_copy_part(&whole);
}
#endif
