from .. cimport holders
from ..store.words cimport Words, store, word
from ..transactions cimport fork, join, online
from . cimport entering, letting_go, local_lock, reaping, waiting
from .host cimport table

cdef word find_child_slot(Words arena, Words mine) noexcept nogil
cdef bint grow_holders(Words arena, Words mine) noexcept nogil
cdef word copy_records(Words arena, Words mine, Words watch) noexcept nogil
cdef void prepare_one(Words arena, Words mine, Words watch) noexcept nogil
cdef void reap_before(word number, Words watch) noexcept nogil
cdef void prepare(Words watch) noexcept nogil
cdef void in_parent() noexcept nogil
cdef void in_child() noexcept nogil
