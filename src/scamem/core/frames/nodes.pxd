from ..store.words cimport Words, high, low, trailing_zeros, word
from .bits cimport bits_at_end, leaf_longest

cdef word node_size(Words mine, word level) noexcept nogil
cdef word leaf_at(Words mine, word zone, word index) noexcept nogil
cdef word node_at(Words mine, word zone, word level, word index) noexcept nogil
cdef word children_at(Words mine, word zone, word level, word index) noexcept nogil
cdef word node_longest(Words arena, Words mine, word zone, word level, word index) noexcept nogil
cdef bint inside(Words mine, word level, word index, word start, word end) noexcept nogil
cdef word node_start(Words arena, Words mine, word zone, word level, word index) noexcept nogil
cdef word node_end(Words arena, Words mine, word zone, word level, word index) noexcept nogil
cdef word longest_in(Words arena, Words mine, word zone, word level, word index) noexcept nogil
