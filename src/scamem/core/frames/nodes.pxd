from ..store.words cimport Words, word
from .bits cimport leaf_longest

cdef word node_size(Words mine, word level) noexcept nogil
cdef word leaf_at(Words mine, word zone, word index) noexcept nogil
cdef word node_at(Words mine, word zone, word level, word index) noexcept nogil
cdef word children_at(Words mine, word zone, word level, word index) noexcept nogil
cdef word node_longest(Words arena, Words mine, word zone, word level, word index) noexcept nogil
cdef bint inside(Words mine, word level, word index, word start, word end) noexcept nogil
