from ..store.journal cimport put
from .bits cimport bits_at_end, leaf_longest, leaf_starts
from .nodes cimport (
    children_at, inside, leaf_at, node_at, node_end, node_longest, node_size, node_start
)
from ..store.words cimport Words, high, leading_zeros, low, pair, trailing_zeros, word

cdef word longest(Words arena, Words mine, word zone) noexcept nogil
cdef bint is_free(Words arena, Words mine, word zone, word start, word count) noexcept nogil
cdef word find_below(Words arena, Words mine, word zone, word level, word index,
                     word count) noexcept nogil
cdef word find_lowest(Words arena, Words mine, word zone, word count) noexcept nogil
cdef word find_highest(Words arena, Words mine, word zone, word count) noexcept nogil
cdef void set_run(Words arena, Words mine, word zone, word start, word count,
                  word free) noexcept nogil
cdef void cover(Words arena, Words mine, word zone, word end) noexcept nogil
cdef void assign(Words arena, Words mine, word zone, word level, word index,
                 word free) noexcept nogil
cdef void split(Words arena, Words mine, word zone, word leaf, word start, word end) noexcept nogil
cdef bint renew(Words arena, Words mine, word level, word at, word left) noexcept nogil
cdef word find_in_leaves(Words arena, Words mine, word at, word count) noexcept nogil
cdef void renew_above(Words arena, Words mine, word zone, word start, word end) noexcept nogil
cdef void set_edge(Words arena, Words mine, word zone, word leaf, word bits,
                   word free) noexcept nogil
