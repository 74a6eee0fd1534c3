from .. cimport holders
from ..frames cimport sections
from ..store cimport lock
from ..store.words cimport Words, word
from ..transactions cimport leave, settle
from . cimport entering, letting_go, local_lock
from .host cimport table

cdef bint is_idle(Words arena, Words mine) noexcept nogil
cdef void free_slot(Words arena, Words mine) noexcept nogil
cdef bint close(Words arena, Words mine) noexcept nogil
