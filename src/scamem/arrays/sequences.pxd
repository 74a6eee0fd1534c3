from scamem.core.store.words cimport Words, word
from scamem.membership.member cimport Hold

cdef extern from *:
    """
    static inline void scamem_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
    """
    void fence "scamem_fence"() noexcept nogil

cdef class Claim:
    cdef Hold hold
    cdef word words[8]  # places.WATCH_WORDS
    cdef Words watch(self) noexcept
    cdef word at(self) except 0
