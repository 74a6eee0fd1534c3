from ..store.words cimport Words, word

ctypedef struct Host:
    Words local
    bint (*is_joined)(word number) noexcept nogil
    Words (*arena_of)(word number) noexcept nogil
    Words (*mine_of)(word number) noexcept nogil
    void (*forget)(Words mine) noexcept nogil
    int (*probe)(Words mine, word slot) noexcept nogil
    word (*lock_child)(Words mine, word slot) noexcept nogil
    void (*keep_child)(Words mine) noexcept nogil
    void (*drop_child)(Words mine) noexcept nogil
    void (*open_mappings)(Words mine) noexcept nogil
    void (*close_mappings)(Words mine) noexcept nogil
    bint (*back_table)(Words mine, word which, word records) noexcept nogil
    bint (*renew)(Words mine, word pfn, word frames, word again) noexcept nogil
    word (*pid)() noexcept nogil

cdef Host table
