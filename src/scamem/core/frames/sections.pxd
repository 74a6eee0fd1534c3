from ..store.journal cimport ensure, put
from ..store.words cimport Words, word

cdef word at(Words mine, word section) noexcept nogil
cdef word state(Words arena, Words mine, word section) noexcept nogil
cdef void set_state(Words arena, Words mine, word section, word old, word new) noexcept nogil
