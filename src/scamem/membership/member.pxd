from scamem.membership.looks cimport Looks
from scamem.core.store.words cimport word

cdef extern from "Python.h":
    """
    #if PY_VERSION_HEX < 0x030D0000
    #define Py_IsFinalizing _Py_IsFinalizing
    #endif
    """
    int Py_IsFinalizing() nogil
    int Py_AddPendingCall(int (*function)(void*) except -1, void* argument) nogil

cdef enum:
    MAYBE_RAISED = 987654321

cdef class Member(Looks):
    cdef public word direct_address
    cdef public word fast_zone
    cdef public bint init_on_alloc
    cdef word prefix_ns
    cdef word prefix_slot
    cdef bytes prefix
    cdef bint is_lent(self, word loan, word loan_id) except -1
    cdef word lend_words(self, Hold held, word* loan_id) except? MAYBE_RAISED
    cpdef object load(self, word index, word generation, word loan, word loan_id, word by)
    cpdef object alloc_one_run(self, word frames, word zone, word by)
    cpdef int finish(self, Hold held) except -1
    cpdef object alloc_fast(self, word frames, word by)
    cpdef Hold hold_again(self, Hold held, word by)
    cpdef word nr(self, Hold held) except? MAYBE_RAISED
    cpdef word address_of(self, Hold held) except? MAYBE_RAISED

cdef class Hold:
    cdef readonly Member member
    cdef readonly word index
    cdef readonly word generation
    cdef word by
    cdef bint writable  # whether it is the base of an array that may be written

cdef void seen_to(Member member) noexcept
cdef void ask_for_trim(Member member) noexcept
cdef int handle_surplus(void* _unused) except -1
cdef Hold new_hold(Member member, word obj, word generation, word by)
cdef word only_run(Member member, word obj) noexcept nogil
cdef size_t checked_length(bytes text, word words) except? MAYBE_RAISED
cpdef release(Hold held)
