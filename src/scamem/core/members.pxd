from .store cimport tables
from .store.journal cimport ensure, put
from .store.words cimport Words, monotonic_ns, word

cdef word state(Words arena, Words mine, word slot) noexcept nogil
cdef void set_state(Words arena, Words mine, word slot, word old, word new) noexcept nogil
cdef word begin(Words arena, Words mine, word slot, word into, word pid) noexcept nogil
