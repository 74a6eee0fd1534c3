from scamem.arena.member cimport Member
from scamem.core.store.words cimport word

cdef word live_object(Member member, word value, word* use) noexcept nogil
