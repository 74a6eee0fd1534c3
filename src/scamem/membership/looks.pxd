from scamem.membership.membership cimport Membership

cdef class Looks(Membership):
    pass
