from scamem.core.store.words cimport Words, word

cdef extern from "<pthread.h>" nogil:
    int pthread_atfork(void (*prepare)() noexcept nogil, void (*parent)() noexcept nogil,
                       void (*child)() noexcept nogil)

cdef extern from "<fcntl.h>" nogil:
    int fallocate(int fd, int mode, long long offset, long long length)

cdef enum:
    FIRST = 64  # arenas that the first table has room for
    MADV_POPULATE_WRITE = 23  # Linux 5.14; not in every libc's headers

cdef word state[64]  # layout.LOCAL_WORDS
cdef word first[128]
cdef word* joined  # {arena, mine} of each number, by address; 0: no arena has it
cdef word joined_max
# what a member that has left its arena has for private words: MINE_STATUS says so
cdef word closed_words[8208]  # to the end of the first slot, which any number leads to

cdef void lock_local() noexcept nogil
cdef void unlock_local() noexcept nogil
cdef bint is_joined(word number) noexcept nogil
cdef Words arena_of(word number) noexcept nogil
cdef Words mine_of(word number) noexcept nogil
cdef word add_member(Words arena, Words mine) noexcept nogil
cdef void remove_member(Words mine) noexcept nogil
cdef word add_range(Words mine, word address, word length) noexcept nogil
cdef void remove_range(Words mine, word address) noexcept nogil
cdef void advise(Words mine, int advice) noexcept nogil
cdef void open_mappings(Words mine) noexcept nogil
cdef void close_mappings(Words mine) noexcept nogil
cdef int probe(Words mine, word slot) noexcept nogil
cdef word lock_child(Words mine, word slot) noexcept nogil
cdef void keep_child(Words mine) noexcept nogil
cdef void drop_child(Words mine) noexcept nogil
cdef bint back_table(Words mine, word which, word records) noexcept nogil
cdef bint renew(Words mine, word pfn, word frames, word again) noexcept nogil
cdef word pid() noexcept nogil
cdef void prepare() noexcept nogil
cdef void in_parent() noexcept nogil
cdef void in_child() noexcept nogil
cdef void fill_table() noexcept nogil
cdef void vacate(Words mine, word private_bytes) noexcept nogil
cdef int install() noexcept nogil
