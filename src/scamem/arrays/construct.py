"""Create arrays over frames through NumPy's C API, in a tenth of the time of ndarray's constructor.

An array's base is the reference (Hold) or the stitched view that keeps its frames. The reference
goes when the last array over them is deallocated.
"""

import cython
from cython.cimports import numpy as cnp
from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.cpython.object import PyObject
from cython.cimports.cpython.ref import Py_INCREF, PyTypeObject
from cython.cimports.scamem.address_space.copying import ALONE_BYTES, copy
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.membership.member import Hold, Member

cnp.import_array()


def new_array(
    kind: type,
    dtype: object,
    shape: tuple,
    strides: tuple | None,
    address: cython.ulonglong,
    writable: cython.bint,
    base: object,
) -> object:
    """Create an array over memory that `base` keeps.

    Parameters
    ----------
    kind : np.ndarray or a subclass of it.
    dtype : an np.dtype without Python objects.
    shape, strides : of equal length; strides in bytes, None for C order.
    address : of the first element, aligned for the dtype.

    Ownership: the array holds `base`. The caller has checked that all of it lies in base's memory.
    """
    dims: cython.Py_ssize_t[64]
    steps: cython.Py_ssize_t[64]
    ndim: cython.Py_ssize_t = len(shape)
    k: cython.Py_ssize_t
    flags: cython.int = cnp.NPY_ARRAY_WRITEABLE if writable else 0
    if ndim > 64:
        raise ValueError(f"asked for {ndim} dimensions; NumPy has at most 64")
    for k in range(ndim):
        dims[k] = shape[k]
    if strides is not None:
        for k in range(ndim):
            steps[k] = strides[k]
    Py_INCREF(dtype)  # stolen by the call
    made = PyArray_NewFromDescr(
        cython.cast(cython.pointer(PyTypeObject), kind),
        cython.cast(cython.p_void, dtype),
        cython.cast(cython.int, ndim),
        dims,
        cython.cast(cython.pointer(cython.Py_ssize_t), cython.NULL) if strides is None else steps,
        cython.cast(cython.p_void, address),
        flags,
        None,  # no parent for __array_finalize__
    )
    PyArray_UpdateFlags(
        cython.cast(cython.p_void, made),
        cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED,
    )
    if writable and type(base) is Hold:
        cython.cast(Hold, base).writable = True  # the array may be made writable again
    Py_INCREF(base)
    PyArray_SetBaseObject(cython.cast(cython.p_void, made), base)
    return made


def copy_array(made: object, source: object) -> cython.void:
    """Copy an array to a new one of the same shape and dtype.

    If both are contiguous in the same order of axes, as bytes, without the GIL if they are many;
    else element by element, in pieces: no temporary has the whole size.
    """
    target: cnp.ndarray = made
    array: cnp.ndarray = source
    nbytes: cython.size_t = array.nbytes
    to: cython.p_void = cnp.PyArray_DATA(target)
    data: cython.p_void = cnp.PyArray_DATA(array)
    if not (
        (cnp.PyArray_IS_C_CONTIGUOUS(array) and cnp.PyArray_IS_C_CONTIGUOUS(target))
        or (cnp.PyArray_IS_F_CONTIGUOUS(array) and cnp.PyArray_IS_F_CONTIGUOUS(target))
    ):
        PyArray_CopyInto(cython.cast(cython.p_void, target), cython.cast(cython.p_void, array))
    elif nbytes <= ALONE_BYTES:
        copy(to, data, nbytes)
    else:
        with cython.nogil:
            copy(to, data, nbytes)


def address_of(array: object) -> cython.ulonglong:
    """Return the address of an array's first element. Needs: it is an ndarray."""
    found: cnp.ndarray = array
    return cython.cast(cython.ulonglong, cnp.PyArray_DATA(found))


def base_of(array: object) -> cython.pointer(PyObject):
    """Return an ndarray's base, borrowed; NULL if it has none. Needs: it is an ndarray."""
    return PyArray_BASE(cython.cast(cython.p_void, array))


def put_array(member: Member, value: object) -> object:
    """Copy a small contiguous ndarray to a new object of one run; return a Hold in hand, or None.

    The fast path of Arena.put: one transaction and one copy. None: use the general path.
    """
    if type(value) is not cnp.ndarray:
        return None
    return alloc_array(member, value, L.BY_HAND)


def array_fast(member: Member, kind: type, value: object) -> object:
    """Copy a small contiguous ndarray to a new array over one run, of type `kind`; or None.

    The fast path of Arena.array: that of put, and the array over it. None: use the general path.
    """
    dtype: object
    array: cnp.ndarray
    if type(value) is not cnp.ndarray:
        return None
    array = value
    held = alloc_array(member, array, L.BY_PIN)
    if held is None:
        return None
    dtype = cython.cast(object, PyArray_DESCR(cython.cast(cython.p_void, array)))
    Py_INCREF(dtype)  # stolen by the call
    made = PyArray_NewFromDescr(
        cython.cast(cython.pointer(PyTypeObject), kind),
        cython.cast(cython.p_void, dtype),
        array.ndim,
        cython.cast(cython.pointer(cython.Py_ssize_t), cnp.PyArray_DIMS(array)),
        cython.cast(cython.pointer(cython.Py_ssize_t), cython.NULL),
        cython.cast(cython.p_void, member.address_of(cython.cast(Hold, held))),
        cnp.NPY_ARRAY_WRITEABLE,
        None,
    )
    PyArray_UpdateFlags(
        cython.cast(cython.p_void, made),
        cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED,
    )
    cython.cast(Hold, held).writable = True
    Py_INCREF(held)
    PyArray_SetBaseObject(cython.cast(cython.p_void, made), held)
    return made


def put_bytes(member: Member, value: bytes) -> object:
    """Copy a few bytes to a new object of one run; return a Hold in hand, or None as put_array."""
    return alloc_copy(member, PyBytes_AS_STRING(value), len(value), L.BY_HAND)


def alloc_array(member: Member, array: cnp.ndarray, by: cython.ulonglong) -> object:
    """Copy a contiguous array to one new run; return a Hold, or None for the general path."""
    data: cython.p_void = cython.cast(cython.p_void, array)
    if not cnp.PyArray_IS_C_CONTIGUOUS(array) or PyDataType_REFCHK(PyArray_DESCR(data)):
        return None
    return alloc_copy(member, cnp.PyArray_DATA(array), PyArray_NBYTES(data), by)


def alloc_copy(
    member: Member, data: cython.p_void, nbytes: cython.size_t, by: cython.ulonglong
) -> object:
    """Copy at most SMALL_BYTES to one new run; return a Hold, or None for the general path."""
    address: cython.ulonglong
    if nbytes == 0 or nbytes > SMALL_BYTES:
        return None
    held = member.alloc_fast((nbytes + L.FRAME_BYTES - 1) // L.FRAME_BYTES, by)
    if type(held) is not Hold:
        return None
    address = member.address_of(cython.cast(Hold, held))
    if address == 0:
        return None
    copy(cython.cast(cython.p_void, address), data, nbytes)
    return held
