from .. cimport areas, holders, objects
from ..frames cimport free_runs, zones
from ..store cimport journal, tables
from ..store.words cimport Words, high, low, pair, word

cdef void let_go(Words arena, Words mine, word holder) noexcept nogil
cdef void end_weak_name(Words arena, Words mine, word obj) noexcept nogil
cdef void give_back(Words arena, Words mine, word obj, word run) noexcept nogil
cdef void bury(Words arena, Words mine, word obj) noexcept nogil
cdef word free_some(Words arena, Words mine) noexcept nogil
