from ..frames cimport free_runs, sections, zones
from ..store cimport journal
from ..store.words cimport Words, low, word
from . cimport populate

cdef word begin(Words arena, Words mine, word section, word blocks) noexcept nogil
cdef word finish(Words arena, Words mine, word blocks) noexcept nogil
cdef word abort(Words arena, Words mine) noexcept nogil
cdef void reset(Words arena, Words mine) noexcept nogil
cdef word extend_table(Words arena, Words mine, word table, word records) noexcept nogil
