from .. cimport holders, members, objects
from ..store cimport journal, tables
from ..store.private cimport become_child, is_copied, set_child_record
from ..store.words cimport Words, high, store, word

cdef word begin(Words arena, Words mine, word slot) noexcept nogil
cdef word oldest(Words arena, Words mine) noexcept nogil
cdef word copy(Words arena, Words mine, word slot, word holder) noexcept nogil
cdef void become(Words arena, Words mine, word slot) noexcept nogil
cdef word arrive(Words arena, Words mine, word pid) noexcept nogil
