cdef class Window:
    cdef readonly object base
    cdef unsigned long long address
    cdef bint writable
    cdef Py_ssize_t nbytes
    cdef readonly Py_ssize_t exports
