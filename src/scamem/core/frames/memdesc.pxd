from ..store.words cimport Words, load_acquire, store, word

cdef word make(word obj, word generation) noexcept nogil
cdef word object_of(word memdesc) noexcept nogil
cdef word generation_of(word memdesc) noexcept nogil
cdef void describe_run(Words arena, Words mine, word start, word count,
                       word memdesc) noexcept nogil
cdef word read(Words arena, Words mine, word pfn) noexcept nogil
