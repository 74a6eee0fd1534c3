from scamem.core.store.words cimport Words, word

cdef extern from "<pthread.h>" nogil:
    int pthread_atfork(void (*prepare)() noexcept nogil, void (*parent)() noexcept nogil,
                       void (*child)() noexcept nogil)

cdef extern from "<fcntl.h>" nogil:
    int fallocate(int fd, int mode, long long offset, long long length)

cdef enum:
    PAGE_BYTES = 4096
    COPY_LOOKS = 8
    REAPED_AT_ONCE = 32  # records that one hold of the arena's lock reaps: some microseconds
    JOINED_MAX = 256
    SPINS = 200
    FORK_NS = 1000000000
    CLEAN_NS = 100000000
    NAP_NS = 2000000

# word 0: the process-local lock; then {arena, mine} of each joined arena, by address
cdef word state[600]
# what a member that has left its arena has for private words: MINE_STATUS says so
cdef word closed_words[512]

cdef Words local() noexcept nogil
cdef void lock_local() noexcept nogil
cdef void unlock_local() noexcept nogil
cdef Words arena_of(word index) noexcept nogil
cdef Words mine_of(word index) noexcept nogil
cdef word enter(Words arena, Words mine) noexcept nogil
cdef word leave(Words arena, Words mine) noexcept nogil
cdef word add_member(Words arena, Words mine) noexcept nogil
cdef void remove_member(Words mine) noexcept nogil
cdef word add_range(Words mine, word address, word length) noexcept nogil
cdef void remove_range(Words mine, word address) noexcept nogil
cdef int probe(Words mine, word slot) noexcept nogil
cdef word probe_holder(Words arena, Words mine) noexcept nogil
cdef word reap_dead(Words arena, Words mine, word slot) noexcept nogil
cdef word breathe(Words arena, Words mine, word deadline_ns) noexcept nogil
cdef word reap_some(Words arena, Words mine, word slot) noexcept nogil
cdef bint grow_holders(Words arena, Words mine) noexcept nogil
cdef word reap_all(Words arena, Words mine, word deadline_ns) noexcept nogil
cdef word clean_some(Words arena, Words mine) noexcept nogil
cdef void note_surplus(Words arena, Words mine) noexcept nogil
cdef void free_dying(Words arena, Words mine) noexcept nogil
cdef void let_go(Words arena, Words mine, word obj, word by) noexcept nogil
cdef word enter_patiently(Words arena, Words mine, word deadline_ns) noexcept nogil
cdef void advise(Words mine, int advice) noexcept nogil
cdef void prepare_one(Words arena, Words mine, word deadline_ns) noexcept nogil
cdef word find_child_slot(Words arena, Words mine) noexcept nogil
cdef word copy_records(Words arena, Words mine, word deadline_ns) noexcept nogil
cdef void prepare() noexcept nogil
cdef void in_parent() noexcept nogil
cdef void in_child() noexcept nogil
cdef void vacate(Words mine, word private_bytes) noexcept nogil
cdef int install() noexcept nogil
