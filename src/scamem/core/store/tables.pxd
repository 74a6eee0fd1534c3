from .journal cimport ensure, put
from .words cimport Words, low, word

cdef word take(Words arena, Words mine, word table) noexcept nogil
cdef void give(Words arena, Words mine, word table, word index) noexcept nogil
cdef word place(Words mine, word table, word index) noexcept nogil
cdef bint valid(Words arena, Words mine, word table, word index) noexcept nogil
cdef word at(Words arena, Words mine, word table, word index) noexcept nogil
