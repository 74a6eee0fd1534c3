from .. cimport members
from ..store cimport journal, tables
from ..store.words cimport Words, low, word

cdef word leave(Words arena, Words mine) noexcept nogil
