from .. cimport queues
from ..store cimport journal
from ..store.words cimport Words, word
from . cimport items

cdef word drop_oldest(Words arena, Words mine, word queue) noexcept nogil
cdef word finish_one(Words arena, Words mine, word place, word queue, word which) noexcept nogil
cdef word put(Words arena, Words mine, word queue, word form, word obj) noexcept nogil
