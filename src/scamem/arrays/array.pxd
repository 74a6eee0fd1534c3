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
cdef object item(object array, object key)
cdef bint is_view(object found, object array) noexcept
cpdef object plain(object found)
cdef void speed_up(object kind, object base) noexcept
