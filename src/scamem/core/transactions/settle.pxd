from .. cimport consumers, queues
from ..store cimport journal, tables
from ..store.words cimport Words, low, word
from . cimport broadcast, dequeue

cdef word step(Words arena, Words mine, word slot) noexcept nogil
cdef word settle(Words arena, Words mine, word consumer) noexcept nogil
