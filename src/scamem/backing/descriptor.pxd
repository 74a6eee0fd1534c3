cdef class Descriptor:
    cdef readonly int fd
    cdef readonly unsigned long long device
    cdef readonly unsigned long long inode
    cdef void close_now(self) noexcept
