from .. cimport queues
from ..store cimport journal, lock
from ..store.words cimport Words, futex_wait, monotonic_ns, word
from ..transactions cimport hold
from . cimport entering, letting_go, local_lock
from .host cimport table

cdef void begin(Words watch, word limit_ns) noexcept nogil
cdef word spend(Words watch) noexcept nogil
cdef word acquisition(word value) noexcept nogil
cdef word attempt(Words arena, Words mine, Words watch) noexcept nogil
cdef word take_over(Words arena, Words mine, word seen) noexcept nogil
cdef word verdict(Words watch) noexcept nogil
cdef word look(Words arena, Words mine, Words watch) noexcept nogil
cdef void nap(Words arena, Words watch) noexcept nogil
cdef void give_up(Words arena, Words mine) noexcept nogil
cdef word come_back(Words arena, Words mine, Words watch) noexcept nogil
cdef word enter_patiently(Words arena, Words mine, Words watch) noexcept nogil
