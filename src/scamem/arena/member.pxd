cimport cython
from scamem.core.store.words cimport Words, word

cdef enum:
    NAP_NS = 2000000

cdef class Member:
    cdef Words arena
    cdef Words mine
    cdef public double lock_timeout_s
    cdef public object find_descriptor
    cdef public object owner
    cdef int begin(self) except -1
    cdef int wait(self, word deadline_ns) except -1
    cdef int end(self) except -1
    cdef object refuse(self, word status)
    cdef tuple name_read(self)
    cdef object record(self, word holder)

# in no cycle; and its member must still be there when it is deallocated
@cython.no_gc
cdef class Hold:
    cdef readonly Member member
    cdef readonly word index
    cdef readonly word generation
    cdef word by

cdef Hold new_hold(Member member, word obj, word generation, word by)
cdef int await_slot(Member member, word seen, word deadline_ns) except -1
