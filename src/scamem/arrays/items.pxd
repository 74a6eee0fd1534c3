cdef extern from "Python.h":
    ctypedef object (*binaryfunc)(object, object)

    ctypedef struct PyMappingMethods:
        binaryfunc mp_subscript

    ctypedef struct PySequenceMethods:
        void* sq_item

    ctypedef struct Type "PyTypeObject":
        PyMappingMethods* tp_as_mapping
        PySequenceMethods* tp_as_sequence

cdef binaryfunc ndarray_item
cdef object shared_kind  # Array
cdef object plain  # what makes an ndarray of an Array in private memory
cdef object item(object array, object key)
cpdef bint is_view(object found, object array) noexcept
cpdef speed_up(object kind, object plain_of)
