from .store.journal cimport ensure, put
from .store.words cimport Words, word

cdef word at(Words mine, word slot) noexcept nogil
cdef word state(Words arena, Words mine, word slot) noexcept nogil
cdef void set_state(Words arena, Words mine, word slot, word old, word new) noexcept nogil
