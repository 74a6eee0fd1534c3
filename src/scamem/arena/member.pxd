cimport cython
from scamem.core.store.words cimport Words, word

cdef extern from *:
    """
    #define SCAMEM_FNV_OFFSET 0xCBF29CE484222325ull
    #define SCAMEM_FNV_PRIME 0x100000001B3ull
    """
    const unsigned long long FNV_OFFSET "SCAMEM_FNV_OFFSET"
    const unsigned long long FNV_PRIME "SCAMEM_FNV_PRIME"

cdef enum:
    NAP_NS = 2000000
    FRAME_BYTES = 4096  # of zone NORMAL

cdef class Member:
    cdef Words arena
    cdef Words mine
    cdef public double lock_timeout_s
    cdef public object find_descriptor
    cdef public object owner
    cdef public word direct_address
    cdef word prefix_ns
    cdef word prefix_slot
    cdef bytes prefix
    cdef word lend_words(self, Hold held, word* loan_id) except? 987654321
    cpdef object load(self, word index, word generation, word loan, word loan_id, word by)
    cpdef object alloc_small(self, word frames, word zone, word by)
    cpdef Hold hold_again(self, Hold held, word by)
    cpdef word nr(self, Hold held) except? 987654321
    cpdef word address_of(self, Hold held) except? 987654321
    cdef int begin(self) except -1
    cdef int wait(self, word deadline_ns) except -1
    cdef int end(self) except -1
    cdef object refuse(self, word status)
    cdef void store_name(self, char* name, size_t name_bytes, char* text,
                         size_t text_bytes) noexcept nogil
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
cdef size_t checked_length(bytes text, word words) except? 9999
cpdef release(Hold held)
