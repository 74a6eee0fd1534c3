cdef enum:
    RECLAIMED_AT_ONCE = 1024  # loans for one look at who is dead
