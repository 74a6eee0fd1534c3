from .. cimport objects, queues
from ..store cimport journal, tables
from ..store.words cimport Words, low, word
from . cimport free, items, settle

cdef bint has_work(Words arena) noexcept nogil
cdef word end_some(Words arena, Words mine) noexcept nogil
cdef word empty_one(Words arena, Words mine, word queue) noexcept nogil
cdef void bury(Words arena, Words mine, word queue) noexcept nogil
