from cpython.object cimport PyObject
from cpython.ref cimport PyTypeObject
from numpy cimport ndarray

from scamem.membership.member cimport Member

cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(PyTypeObject* kind, void* dtype, int ndim, Py_ssize_t* dims,
                                Py_ssize_t* strides, void* data, int flags, object parent)
    int PyArray_SetBaseObject(void* array, object base) except -1
    void PyArray_UpdateFlags(void* array, int flags)
    PyObject* PyArray_BASE(void* array) nogil
    Py_ssize_t PyArray_NBYTES(void* array)
    void* PyArray_DESCR(void* array)
    bint PyDataType_REFCHK(void* dtype)
    int PyArray_CopyInto(void* made, void* source) except -1

cpdef object new_array(type kind, object dtype, tuple shape, tuple strides,
                       unsigned long long address, bint writable, object base)
cpdef void copy_array(object made, object source)
cpdef unsigned long long address_of(object array)
cpdef object put_array(Member member, object value)
cpdef object array_fast(Member member, type kind, object value)
cpdef object put_bytes(Member member, bytes value)
cdef object alloc_array(Member member, ndarray array, unsigned long long by)
cdef object alloc_copy(Member member, void* data, size_t nbytes, unsigned long long by)
cdef PyObject* base_of(object array) noexcept

cdef enum:
    SMALL_BYTES = 262144  # MEMDESCS_INSIDE_MAX frames
