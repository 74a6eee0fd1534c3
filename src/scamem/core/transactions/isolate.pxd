from .. cimport objects
from ..frames cimport free_runs, nodes, sections, zones
from ..store cimport journal
from ..store.words cimport Words, word

cdef word take(Words arena, Words mine, word obj, word section) noexcept nogil
