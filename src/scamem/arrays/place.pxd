from scamem.membership.member cimport Hold

cdef class Place:
    cdef readonly Hold hold
    cdef readonly long long offset

cpdef object root(object array)
cpdef Place locate(object array)
cdef Place new_place(Hold hold, long long offset)
