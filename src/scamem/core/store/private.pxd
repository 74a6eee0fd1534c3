from .words cimport Words, high, low, pair, word

cdef word record_of(Words mine, word obj) noexcept nogil
cdef void set_record(Words mine, word obj, word record) noexcept nogil
cdef void set_child_record(Words mine, word obj, word record, word epoch) noexcept nogil
cdef bint is_copied(Words mine, word obj, word epoch) noexcept nogil
cdef void become_child(Words mine, word slot, word incarnation) noexcept nogil
cdef void await_looks(Words mine, word obj) noexcept nogil
cdef void note_look(Words mine, word obj) noexcept nogil
cdef bint is_looked_at(Words mine, word obj) noexcept nogil
