from scamem.address_space.io cimport iovec
from scamem.membership.member cimport Member
from scamem.core.store.words cimport word

cdef word find_spans(Member member, word obj, word start, word nbytes, iovec* into,
                     word room) noexcept nogil
