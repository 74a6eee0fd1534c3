from ..frames cimport free_runs, sections, zones
from ..store cimport journal
from ..store.words cimport Words, word

cdef word begin(Words arena, Words mine, word section, word most) noexcept nogil
cdef word finish(Words arena, Words mine, word blocks) noexcept nogil
cdef word first_blocks(word blocks, word most) noexcept nogil
cdef void free_blocks(Words arena, Words mine, word zone, word start, word blocks) noexcept nogil
