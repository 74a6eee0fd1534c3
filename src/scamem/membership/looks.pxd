from scamem.core.store.words cimport word
from scamem.membership.membership cimport Membership

cdef class Looks(Membership):
    cdef object record(self, word holder)
