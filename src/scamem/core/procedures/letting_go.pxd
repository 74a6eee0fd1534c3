from ..frames cimport zones
from ..store cimport lock
from ..store.words cimport Words, exchange, load_acquire, low, word
from ..transactions cimport end, hold
from . cimport local_lock
from .host cimport table

cdef word unlock_arena(Words arena, Words mine) noexcept nogil
cdef void note_surplus(Words arena, Words mine) noexcept nogil
cdef void free_runs(Words arena, Words mine) noexcept nogil
cdef void put(Words arena, Words mine, word obj, word by) noexcept nogil
cdef void drain() noexcept nogil
cdef void release() noexcept nogil
cdef void release_left() noexcept nogil
cdef void let_go(Words arena, Words mine, word obj, word by) noexcept nogil
