from .. cimport members
from ..store cimport journal, tables
from ..store.words cimport Words, store, word

cdef word join(Words arena, Words mine, word slot, word pid, word descriptors) noexcept nogil
cdef word find_free(Words arena, Words mine, word after) noexcept nogil
