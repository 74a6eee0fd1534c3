from scamem.membership.member cimport Member

cdef enum:
    CHANGED = -1  # another thread changed it or took a view: try again
    LEFT = -2  # this process is not a member any more
    NO_RANGE = -3  # the table that fork opens and closes is full

cdef class Mapped:
    cdef readonly object seat
    cdef Member member
    cdef readonly unsigned long long address
    cdef readonly unsigned long long nbytes
    cdef readonly bint writable
    cdef unsigned long long mappings  # that the kernel counts for it
    cdef unsigned long long changes  # of range or views, ever
    cdef list pieces
    cdef list views  # weak
    cdef object __weakref__
    cdef int carve(self, unsigned long long seen, Mapped behind, unsigned long long start,
                   unsigned long long end, unsigned long long mappings) noexcept nogil

cdef class MappedView:
    cdef readonly Mapped mapped
    cdef readonly unsigned long long address
    cdef readonly unsigned long long nbytes
    cdef readonly bint writable
    cdef object __weakref__

cdef Mapped new_mapped(object seat, bint writable, list pieces)
cdef void unmap_all(Mapped mapped) noexcept nogil
