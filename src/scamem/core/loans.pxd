from .store cimport tables
from .store.journal cimport ensure, put
from .store.words cimport Words, high, low, pair, word

cdef word at(Words arena, Words mine, word loan) noexcept nogil
cdef word holder_of(Words arena, Words mine, word loan, word loan_id) noexcept nogil
cdef word link(Words arena, Words mine, word holder, word loan_id, word now_ns) noexcept nogil
cdef word unlink(Words arena, Words mine, word loan) noexcept nogil
