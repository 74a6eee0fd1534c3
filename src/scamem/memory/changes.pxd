from scamem.core.store.words cimport word
from scamem.membership.member cimport Member

cdef word ended(Member member, word found) except? 0
