from cpython.object cimport PyObject
from scamem.core.store.words cimport word
from scamem.membership.member cimport Member

cdef extern from "Python.h":
    ctypedef struct PyFrameObject:
        pass

    ctypedef struct PyTracebackObject:
        PyTracebackObject* tb_next
        PyFrameObject* tb_frame

    PyFrameObject* PyEval_GetFrame()
    int PyFrame_GetLasti(PyFrameObject* frame)
    void PyErr_Fetch(PyObject** kind, PyObject** error, PyObject** traceback)
    void PyErr_Restore(PyObject* kind, PyObject* error, PyObject* traceback)
    PyObject* PyErr_Occurred()
    void PyErr_SetInterrupt()

cdef class Lent:
    cdef Member member
    cdef word loan
    cdef word loan_id
    cdef void* frame
    cdef int at
    cdef bint is_failing(self, PyTracebackObject* traceback) noexcept
    cdef void give_back(self) noexcept

cdef class Guard:
    cdef readonly bytes data
    cdef object capsule

cdef void ended(object capsule) noexcept
