from .. cimport objects
from ..store cimport journal
from ..store.private cimport record_of
from ..store.words cimport Words, word

cdef word mark(Words arena, Words mine, word obj) noexcept nogil
