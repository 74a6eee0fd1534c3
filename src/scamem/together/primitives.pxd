from scamem.core.store.words cimport Words, word
from scamem.membership.member cimport Member

cdef class Watch:
    cdef word words[8]  # places.WATCH_WORDS

cdef class Primitive:
    cdef object view
    cdef Member member
    cdef Words w
    cdef word me(self) except 0

cdef class Mutex(Primitive):
    cdef public bint recovered
    cdef bint recursive
    cdef bint taken
    cdef void own(self, word thread) noexcept
    cdef int give_up(self) except -1
    cdef bint is_mine(self, word me, word thread) noexcept

cdef class Turns(Primitive):
    pass

cdef Words seen(Watch watch) noexcept
cdef word this_thread() noexcept
