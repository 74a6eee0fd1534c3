from .. cimport holders, objects
from ..frames cimport memdesc
from ..store cimport journal, tables
from ..store.private cimport await_looks, is_looked_at, record_of, set_record
from ..store.words cimport Words, high, low, pair, word
from . cimport alloc, free

cdef bint is_idle(Words arena, Words mine, word holder) noexcept nogil
cdef bint is_alone(Words arena, Words mine, word obj) noexcept nogil
cdef word begin(Words arena, Words mine, word obj, word generation) noexcept nogil
cdef word describe(Words arena, Words mine, word obj, word target) noexcept nogil
cdef word graft(Words arena, Words mine, word source, word target, word expected) noexcept nogil
cdef word split_run(Words arena, Words mine, word run, word kept) noexcept nogil
cdef word cut(Words arena, Words mine, word obj, word tail, word run, word kept, word left,
              word seen) noexcept nogil
cdef bint is_unwatched(Words arena, Words mine, word obj) noexcept nogil
cdef word mark(Words arena, Words mine, word obj, word generation) noexcept nogil
cdef word exchange(Words arena, Words mine, word obj, word copy) noexcept nogil
