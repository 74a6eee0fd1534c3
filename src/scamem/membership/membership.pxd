from scamem.core.store.words cimport Words, word

cdef enum:
    SLICE_NS = 100000000  # between signal checks

cdef class Membership:
    cdef Words arena
    cdef Words mine
    cdef public double lock_timeout_s
    cdef public object find_descriptor
    cdef public object seat
    cdef public tuple descriptors
    cdef public word private_bytes
    cdef public bint closing
    cpdef bint close(self) noexcept
    cdef bint leave_now(self) noexcept
    cdef int begin(self) except -1
    cdef int wait(self) except -1
    cdef object waited_too_long(self, word status, word seen)
    cdef int end(self) except -1
    cdef void finish_dying(self) noexcept
    cdef int check_active(self) except -1
    cdef object refuse(self, word status)
