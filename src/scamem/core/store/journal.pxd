from .words cimport Words, store, word

cdef void put(Words arena, word at, word value) noexcept nogil
cdef word commit(Words arena) noexcept nogil
cdef word cancel(Words arena, word status) noexcept nogil
cdef void ensure(Words arena, bint condition) noexcept nogil
cdef bint can_roll_back(Words arena, word words) noexcept nogil
cdef word roll_back(Words arena) noexcept nogil
