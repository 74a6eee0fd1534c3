from ..frames cimport free_runs, sections, zones
from ..store cimport journal
from ..store.words cimport Words, word

cdef word find_present(Words arena, Words mine, word section) noexcept nogil
cdef word begin(Words arena, Words mine, word section, word kept) noexcept nogil
cdef void withdraw(Words arena, Words mine, word zone, word section) noexcept nogil
cdef word finish(Words arena, Words mine) noexcept nogil
