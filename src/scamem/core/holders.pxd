from .store cimport tables
from .store.journal cimport ensure, put
from .store.words cimport Words, high, low, pair, store, word

cdef word at(Words arena, Words mine, word holder) noexcept nogil
cdef word object_of(Words arena, Words mine, word holder) noexcept nogil
cdef word slot_of(Words arena, Words mine, word holder) noexcept nogil
cdef word kind_of(Words arena, Words mine, word holder) noexcept nogil
cdef bint has_io(Words arena, Words mine, word holder) noexcept nogil
cdef bint has_counts(Words arena, Words mine, word holder) noexcept nogil
cdef word slot_at(Words mine, word slot) noexcept nogil
cdef word count_of(Words arena, Words mine, word slot) noexcept nogil
cdef word find(Words arena, Words mine, word obj, word slot) noexcept nogil
cdef word link(Words arena, Words mine, word obj, word slot, word kind) noexcept nogil
cdef void unlink(Words arena, Words mine, word holder) noexcept nogil
cdef void link_to_slot(Words arena, Words mine, word holder, word slot) noexcept nogil
cdef void unlink_from_slot(Words arena, Words mine, word holder) noexcept nogil
cdef void give_dropped(Words arena, Words mine, word holder) noexcept nogil
cdef void turn_over(Words arena, Words mine, word holder, word second) noexcept nogil
cdef word one_of(word by) noexcept nogil
cdef bint add_count(Words arena, Words mine, word holder, word by) noexcept nogil
cdef bint subtract_count(Words arena, Words mine, word holder, word by) noexcept nogil
