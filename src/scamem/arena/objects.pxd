from scamem.arena.member cimport Hold

cdef class Pin:
    cdef Hold held
    cdef readonly unsigned long long start
    cdef readonly unsigned long long nframes
    cdef bytes spans(self, long long start, object nbytes)
    cdef Hold another(self)

cdef class Scamem:
    cdef readonly object arena
    cdef readonly unsigned long long index
    cdef readonly unsigned long long generation
    cdef Hold held
    cdef object __weakref__
