from .. cimport holders, members, objects
from ..store cimport journal, tables
from ..store.words cimport Words, low, store, word
from . cimport clean, hold, online, settle

cdef word begin(Words arena, Words mine, word slot) noexcept nogil
cdef word step(Words arena, Words mine, word slot) noexcept nogil
cdef bint is_reapable(Words arena, Words mine, word slot) noexcept nogil
cdef bint needs_taint(Words arena, Words mine, word holder) noexcept nogil
