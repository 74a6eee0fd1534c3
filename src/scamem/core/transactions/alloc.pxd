from .. cimport holders, objects
from ..frames cimport free_runs, memdesc, zones
from ..store cimport journal, tables
from ..store.private cimport set_record
from ..store.words cimport Words, high, low, pair, word

cdef word small(Words arena, Words mine, word zone, word frames, word by) noexcept nogil
cdef word one_run(Words arena, Words mine, word zone, word frames, word by) noexcept nogil
cdef word reserve(Words arena, Words mine, word zone, word frames, word by) noexcept nogil
cdef word take_run(Words arena, Words mine, word obj) noexcept nogil
cdef word describe(Words arena, Words mine, word obj) noexcept nogil
cdef word describe_runs(Words arena, Words mine, word obj, word value) noexcept nogil
cdef word finish(Words arena, Words mine, word obj) noexcept nogil
cdef word begin_object(Words arena, Words mine, word zone, word frames, word reserved,
                       word by) noexcept nogil
cdef word move_run(Words arena, Words mine, word obj, word zone, word wanted) noexcept nogil
