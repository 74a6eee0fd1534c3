from scamem.core.store.words cimport Words, word

cdef enum:
    NAP_NS = 2000000

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
    cdef int wait(self, word deadline_ns) except -1
    cdef int end(self) except -1
    cdef int check_active(self) except -1
    cdef void stop(self) noexcept nogil
    cdef object refuse(self, word status)
    cdef object record(self, word holder)

cdef int await_slot(Membership member, word seen, word deadline_ns) except -1
