from scamem.core.store.words cimport Words, word

cdef enum:
    WAITERS_MAX = 0x7FFFFFFF

cdef class SharedWords:
    cdef object base
    cdef Words words
    cdef word count
    cpdef word load(self, word at) except? 987654321
    cpdef store(self, word at, word value)
