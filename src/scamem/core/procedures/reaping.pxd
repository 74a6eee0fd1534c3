from ..store.words cimport Words, word
from ..transactions cimport end, reap
from . cimport entering, letting_go, local_lock, waiting
from .host cimport table

cdef word reap_dead(Words arena, Words mine, word slot) noexcept nogil
cdef word reap_some(Words arena, Words mine, word slot) noexcept nogil
cdef word breathe(Words arena, Words mine, Words watch) noexcept nogil
cdef word reap_slots(Words arena, Words mine, Words watch) noexcept nogil
cdef word reap_all(Words arena, Words mine, Words watch) noexcept nogil
