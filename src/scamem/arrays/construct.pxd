from cpython.ref cimport PyTypeObject

from scamem.membership.member cimport Member

cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(PyTypeObject* kind, void* dtype, int ndim, Py_ssize_t* dims,
                                Py_ssize_t* strides, void* data, int flags, object parent)
    int PyArray_SetBaseObject(void* array, object base) except -1
    void PyArray_UpdateFlags(void* array, int flags)
    int PyArray_CopyInto(void* made, void* source) except -1

cpdef object new_array(type kind, object dtype, tuple shape, tuple strides,
                       unsigned long long address, bint writable, object base)
cpdef void copy_array(object made, object source)
cpdef unsigned long long address_of(object array)
cpdef object put_array(Member member, object value)

cdef enum:
    SMALL_BYTES = 262144  # MEMDESCS_INSIDE_MAX frames
