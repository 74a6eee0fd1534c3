cdef enum:
    PAGE_BYTES = 4096
