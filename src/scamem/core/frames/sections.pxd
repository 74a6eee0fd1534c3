from ..store.journal cimport ensure, put
from ..store.words cimport Words, low, pair, word

cdef word at(Words mine, word section) noexcept nogil
cdef word state(Words arena, Words mine, word section) noexcept nogil
cdef word absent(Words arena, Words mine, word section) noexcept nogil
cdef word unpunched(Words arena, Words mine, word section) noexcept nogil
cdef word all_blocks(Words mine) noexcept nogil
cdef void set_blocks(Words arena, Words mine, word section, word absent,
                     word unpunched) noexcept nogil
cdef void set_flags(Words arena, Words mine, word section, word flags) noexcept nogil
cdef word flags(Words arena, Words mine, word section) noexcept nogil
cdef void set_state(Words arena, Words mine, word section, word old, word new) noexcept nogil
cdef void take(Words arena, Words mine, word section, word old, word new) noexcept nogil
cdef void give_up(Words arena, Words mine, word section, word old, word new) noexcept nogil
cdef word owned(Words arena, Words mine) noexcept nogil
