from . cimport journal
from .words cimport Words, compare_exchange, futex_wake, load_acquire, store, word

cdef word try_lock(Words arena, word slot) noexcept nogil
cdef word take_over(Words arena, word slot, word seen) noexcept nogil
cdef bint announce_wait(Words arena, word seen) noexcept nogil
cdef word unlock(Words arena) noexcept nogil
cdef word clear_drops(Words arena) noexcept nogil
cdef void set_drops(Words arena) noexcept nogil
cdef word held_by(word value) noexcept nogil
