from scamem.membership.member cimport Hold

cdef class Scamem:
    cdef readonly object seat
    cdef readonly unsigned long long index
    cdef readonly unsigned long long generation
    cdef Hold held
    cdef object __weakref__
