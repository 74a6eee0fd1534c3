from scamem.arena.member cimport Member
from scamem.core.store.words cimport word

cdef enum:
    RECLAIMED_AT_ONCE = 1024  # loans for one look at who is dead

cdef Py_ssize_t reclaim(Member member, word grace_s) except -1
