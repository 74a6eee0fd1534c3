from ..store.words cimport leading_zeros, trailing_zeros, word

cdef word leaf_starts(word bits, word count) noexcept nogil
cdef word leaf_longest(word bits) noexcept nogil
cdef word bits_at_end(word bits, word size) noexcept nogil
