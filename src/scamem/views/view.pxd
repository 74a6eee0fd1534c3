from scamem.membership.member cimport Hold

cdef class View:
    cdef readonly Hold hold
    cdef readonly unsigned long long address
    cdef readonly unsigned long long nbytes
    cdef readonly unsigned long long runs
    cdef readonly bint writable
    cdef readonly bint private
    cdef readonly bint growing
    cdef readonly tuple parts
    cdef unsigned long long mapped
    cdef unsigned long long length  # of address space, to be unmapped in the end
    cdef object __weakref__

cdef View new_view(Hold held, unsigned long long address, unsigned long long nbytes,
                   bint writable, unsigned long long runs)
cdef void unmap(View view) noexcept
