from .store cimport tables
from .store.journal cimport ensure, put
from .store.private cimport note_look
from .store.words cimport Words, high, load_acquire, low, pair, word

cdef word at(Words arena, Words mine, word obj) noexcept nogil
cdef word state(Words arena, Words mine, word obj) noexcept nogil
cdef word zone(Words arena, Words mine, word obj) noexcept nogil
cdef word generation(Words arena, Words mine, word obj) noexcept nogil
cdef word count(Words arena, Words mine, word obj) noexcept nogil
cdef word in_transit(Words arena, Words mine, word obj) noexcept nogil
cdef word nr(Words arena, Words mine, word obj) noexcept nogil
cdef bint is_live(Words arena, Words mine, word obj, word generation) noexcept nogil
cdef bint is_owned(Words arena, Words mine, word obj, word state) noexcept nogil
cdef void set_state(Words arena, Words mine, word obj, word old, word new) noexcept nogil
cdef word flags(Words arena, Words mine, word obj) noexcept nogil
cdef void set_flag(Words arena, Words mine, word obj, word flag) noexcept nogil
cdef void clear_flags(Words arena, Words mine, word obj, word flags) noexcept nogil
cdef word changes(Words arena, Words mine, word obj) noexcept nogil
cdef void note_change(Words arena, Words mine, word obj) noexcept nogil
cdef word append_run(Words arena, Words mine, word obj, word start, word frames) noexcept nogil
cdef word take_first_run(Words arena, Words mine, word obj) noexcept nogil
