from scamem.core.store.words cimport Words, word
from scamem.membership.member cimport Hold, Member

cdef extern from *:
    """
    #if defined(__x86_64__)
    #define scamem_pause() __builtin_ia32_pause()
    #elif defined(__aarch64__)
    #define scamem_pause() __asm__ volatile("yield")
    #else
    #define scamem_pause() ((void)0)
    #endif
    """
    void pause "scamem_pause"() nogil

cdef enum:
    SPINS = 400  # looks at a counter before a nap: some microseconds
    IN_PICKLE = 1  # forms of a value; the same as PICKLE and so on
    IN_BYTES = 2
    TO_TAKE = 0  # ways to get an item; the same as TAKEN and so on
    TO_LEASE = 1
    TO_READ = 2
    IN_ITEM_MAX = 256  # layout.ITEM_PAYLOAD_WORDS, in bytes

cdef class Status:
    cdef readonly word code
    cdef readonly word seen
    cdef readonly word until_ns

cdef class Channel:
    cdef readonly Member member
    cdef readonly Hold held
    cdef readonly word queue
    cdef readonly word kind
    cdef readonly word policy
    cdef readonly word maxsize
    cdef readonly word lease_ns
    cdef public object decode
    cdef word consumer
    cdef object __weakref__
    cdef word stage(self, bytes payload) except 0
    cdef Status refused(self, word status, word event)
    cdef void expire(self)
    cdef object item(self, word leased)
    cpdef word put(self, word form, bytes payload, Hold held) except? 987654321
    cpdef word offer(self, object value) except? 987654321
    cpdef object take(self)

cdef bint end_work(Member member)
cdef Status new_status(word code, word seen, word until_ns)
