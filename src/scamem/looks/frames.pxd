from scamem.membership.member cimport Member
from scamem.core.store.words cimport word

cdef enum:
    LOOKED_AT_ONCE = 4096  # frames under one hold of the local lock: some 30 microseconds

cdef word live_object(Member member, word value, word* use) noexcept nogil
