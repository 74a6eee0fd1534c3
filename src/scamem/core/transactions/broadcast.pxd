from .. cimport consumers, queues
from ..store cimport journal, tables
from ..store.private cimport set_record
from ..store.words cimport Words, high, low, pair, word
from . cimport items

cdef word drop_oldest(Words arena, Words mine, word topic) noexcept nogil
cdef word publish(Words arena, Words mine, word topic, word form, word obj) noexcept nogil
cdef void step_on(Words arena, Words mine, word topic, word item, word more) noexcept nogil
cdef word next_of(Words arena, Words mine, word consumer) noexcept nogil
cdef word ticket_of(Words arena, Words mine, word item) noexcept nogil
cdef void uncount(Words arena, Words mine, word consumer, word item) noexcept nogil
cdef word subscribe(Words arena, Words mine, word topic, word cursor, word last) noexcept nogil
cdef word end(Words arena, Words mine, word consumer) noexcept nogil
cdef word unsubscribe(Words arena, Words mine, word topic, word consumer) noexcept nogil
cdef word read(Words arena, Words mine, word topic, word consumer, word newest) noexcept nogil
