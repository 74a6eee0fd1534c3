cimport numpy as cnp

cdef extern from "elements.h" nogil:
    unsigned long long atomic_load "scamem_atomic_load"(void* at, int size)
    void atomic_store "scamem_atomic_store"(void* at, int size, unsigned long long value)
    unsigned long long atomic_change "scamem_atomic_change"(void* at, int size, int how, unsigned long long value)
    bint atomic_swap_if "scamem_atomic_swap_if"(void* at, int size, unsigned long long old, unsigned long long value)
    int element_wait "scamem_element_wait"(void* at, unsigned int seen, long long nap_ns)
    int element_wake "scamem_element_wake"(void* at, int count)

cdef struct Element:
    void* at
    int size
    bint is_signed

cdef int find(object array, object index, bint writes, Element* found) except -1
cdef void* address(object array, object index) except NULL
cdef bint is_shared(object base)
cdef unsigned long long bits(Element* element, object value) except? 987654321
cdef object number(Element* element, unsigned long long value)
cdef object change(object array, object index, object value, int how)
