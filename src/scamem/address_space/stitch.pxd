cdef extern from "<sys/mman.h>" nogil:
    enum: MREMAP_FIXED
    enum: MREMAP_MAYMOVE
