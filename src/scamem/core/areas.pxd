from .store cimport tables
from .store.journal cimport ensure, put
from .store.words cimport Words, high, low, pair, word

cdef word at(Words arena, Words mine, word area) noexcept nogil
cdef word find(Words arena, Words mine) noexcept nogil
cdef bint has_name(Words arena, Words mine, word area) noexcept nogil
cdef word link(Words arena, Words mine, word now_ns) noexcept nogil
cdef void set_holder(Words arena, Words mine, word area, word holder, word flags) noexcept nogil
cdef void describe(Words arena, Words mine, word area, word now_ns) noexcept nogil
cdef void unlink(Words arena, Words mine, word area) noexcept nogil
cdef void read(Words arena, Words mine, word area) noexcept nogil
cdef word bucket_at(Words mine) noexcept nogil
cdef word words_of(word nbytes) noexcept nogil
