from .. cimport objects
from ..store cimport journal
from ..store.words cimport Words, low, pair, word
from . cimport alloc

cdef bint is_owner(Words arena, Words mine) noexcept nogil
cdef word begin(Words arena, Words mine) noexcept nogil
cdef word undescribe(Words arena, Words mine, word obj) noexcept nogil
cdef word finish(Words arena, Words mine) noexcept nogil
cdef word abort(Words arena, Words mine) noexcept nogil
cdef void reset(Words arena, Words mine) noexcept nogil
