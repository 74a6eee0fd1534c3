from .. cimport objects, queues
from ..store cimport journal, tables
from ..store.private cimport record_of
from ..store.words cimport Words, low, store, word

cdef word make(Words arena, Words mine, word obj, word kind, word policy, word maxsize,
               word lease_ns) noexcept nogil
cdef word find(Words arena, Words mine, word obj) noexcept nogil
cdef word close(Words arena, Words mine, word queue) noexcept nogil
