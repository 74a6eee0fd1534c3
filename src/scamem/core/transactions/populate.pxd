from ..frames cimport free_runs, sections, zones
from ..store cimport journal
from ..store.words cimport Words, word

cdef word begin(Words arena, Words mine, word section) noexcept nogil
cdef word finish(Words arena, Words mine) noexcept nogil
