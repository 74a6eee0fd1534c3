from .. cimport areas, holders, objects
from ..store cimport events, journal, tables
from ..store.words cimport Words, high, low, monotonic_ns, word
from . cimport free

cdef word publish(Words arena, Words mine, word obj, word generation, word how) noexcept nogil
cdef word end_holding(Words arena, Words mine, word area) noexcept nogil
cdef word unpublish(Words arena, Words mine) noexcept nogil
cdef word find(Words arena, Words mine) noexcept nogil
cdef word read_area(Words arena, Words mine, word area) noexcept nogil
