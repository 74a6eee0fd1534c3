from .. cimport consumers, holders, objects, queues, returned
from ..store cimport journal, tables
from ..store.private cimport note_look, record_of
from ..store.words cimport Words, high, low, pair, store, word
from . cimport free, hold

cdef word new(Words arena, Words mine, word queue, word form, word obj) noexcept nogil
cdef word state(Words arena, Words mine, word item) noexcept nogil
cdef void set_state(Words arena, Words mine, word item, word old, word new) noexcept nogil
cdef word oldest(Words arena, Words mine, word queue) noexcept nogil
cdef void take_out(Words arena, Words mine, word queue, word item) noexcept nogil
cdef void give_back(Words arena, Words mine, word item) noexcept nogil
cdef void drop(Words arena, Words mine, word item) noexcept nogil
cdef word read(Words arena, Words mine, word item) noexcept nogil
