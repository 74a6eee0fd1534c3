from .. cimport holders, objects
from ..store cimport journal, lock, tables
from ..store.private cimport note_look, record_of, set_record
from ..store.words cimport (
    Words, compare_exchange, high, load_acquire, low, monotonic_ns, pair, store, word
)
from . cimport free

cdef word add(Words arena, Words mine, word obj, word by) noexcept nogil
cdef word subtract(Words arena, Words mine, word obj, word by) noexcept nogil
cdef word first(Words arena, Words mine, word obj, word generation, word by) noexcept nogil
cdef word own_record(Words arena, Words mine, word obj) noexcept nogil
cdef word put_holder(Words arena, Words mine, word holder) noexcept nogil
cdef void drop_record(Words arena, Words mine, word holder) noexcept nogil
cdef word seconds(Words arena) noexcept nogil
cdef void defer(Words arena, Words mine, word holder) noexcept nogil
cdef word drain(Words arena, Words mine) noexcept nogil
cdef word drain_one(Words arena, Words mine, word slot) noexcept nogil
cdef word recover_drain(Words arena, Words mine) noexcept nogil
cdef word leave(Words arena, Words mine) noexcept nogil
