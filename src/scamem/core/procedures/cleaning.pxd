from .. cimport objects
from ..store cimport tables
from ..store.words cimport Words, high, low, word
from ..transactions cimport clean
from . cimport entering, letting_go, local_lock, waiting
from .host cimport table

cdef word clean_frames(Words arena, Words mine, word obj) noexcept nogil
cdef word renew(Words arena, Words mine, word obj, word again) noexcept nogil
cdef word clean_some(Words arena, Words mine, Words watch) noexcept nogil
cdef void free_dying(Words arena, Words mine, Words watch) noexcept nogil
cdef void clean_left(Words arena, Words mine, Words watch) noexcept nogil
