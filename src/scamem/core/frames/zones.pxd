from ..store.journal cimport ensure, put
from ..store.words cimport Words, word

cdef word at(word zone) noexcept nogil
cdef word first(Words mine, word zone) noexcept nogil
cdef word of(Words mine, word pfn) noexcept nogil
cdef word of_section(Words mine, word section) noexcept nogil
cdef word unpromised(Words arena, word zone) noexcept nogil
cdef void add_free(Words arena, word zone, word frames) noexcept nogil
cdef void subtract_free(Words arena, word zone, word frames) noexcept nogil
cdef word count_free(Words arena, Words mine) noexcept nogil
