from .. cimport members
from ..store cimport journal
from ..store.words cimport Words, low, word

cdef word leave(Words arena, Words mine) noexcept nogil
