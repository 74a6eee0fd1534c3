from ..store cimport lock
from ..store.words cimport Words, word
from ..transactions cimport fork
from . cimport letting_go, local_lock
from .host cimport table

cdef word enter(Words arena, Words mine) noexcept nogil
cdef void arrive(Words arena, Words mine) noexcept nogil
cdef word leave(Words arena, Words mine) noexcept nogil
