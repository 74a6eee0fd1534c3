from .. cimport consumers, queues
from ..store cimport journal, tables
from ..store.private cimport set_record
from ..store.words cimport Words, high, low, monotonic_ns, word
from . cimport enqueue, items

cdef word own(Words arena, Words mine, word queue, word known) noexcept nogil
cdef word next_item(Words arena, Words mine, word queue) noexcept nogil
cdef word take(Words arena, Words mine, word queue, word known) noexcept nogil
cdef word lease(Words arena, Words mine, word queue, word known, word until_ns) noexcept nogil
cdef bint is_leased(Words arena, Words mine, word item, word ticket, word attempts) noexcept nogil
cdef word finish(Words arena, Words mine, word item) noexcept nogil
cdef word done(Words arena, Words mine, word item, word ticket, word attempts) noexcept nogil
cdef word give_back(Words arena, Words mine, word item, word ticket, word attempts) noexcept nogil
cdef word put_back(Words arena, Words mine, word item) noexcept nogil
cdef word expire(Words arena, Words mine, word queue) noexcept nogil
cdef word task_done(Words arena, Words mine, word queue, word known) noexcept nogil
