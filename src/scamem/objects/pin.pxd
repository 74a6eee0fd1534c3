from scamem.membership.member cimport Hold

cdef class Pin:
    cdef Hold held
    cdef readonly unsigned long long start
    cdef readonly unsigned long long nframes
    cdef bytes spans(self, long long start, object nbytes)
    cdef Hold another(self)

cdef Pin pin_frames(Hold held, long long start, object nframes, bint io)
