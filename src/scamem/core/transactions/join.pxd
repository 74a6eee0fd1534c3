from .. cimport members
from ..store cimport journal
from ..store.words cimport Words, monotonic_ns, store, word

cdef word join(Words arena, Words mine, word slot, word pid, word descriptors) noexcept nogil
cdef word find_free(Words arena, Words mine, word after) noexcept nogil
