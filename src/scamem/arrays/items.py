"""`x[key]` of an Array: as quick as an ndarray's, and a copy is an ndarray.

A class in Python that defines `__getitem__` is looked at for it each time that the interpreter
evaluates `x[key]`, which takes longer than the slice. So Array's slot gets the C function itself.
"""

import cython
import numpy as np
from cython.cimports.cpython.object import PyObject
from cython.cimports.scamem.arrays.construct import base_of
from cython.cimports.scamem.arrays.items import Type


def item(array: object, key: object) -> object:
    """Return `array[key]`: a view as an Array, a copy as an ndarray."""
    found: object = ndarray_item(array, key)
    if not isinstance(found, shared_kind) or is_view(found, array):
        return found
    return plain(found)


def is_view(found: object, array: object) -> cython.bint:
    """Return whether an array certainly shows another one's memory. Needs: both are ndarrays."""
    base: cython.pointer(PyObject) = base_of(found)
    if base == cython.NULL:
        return False
    return base == cython.cast(cython.pointer(PyObject), array) or base == base_of(array)


def speed_up(kind: object, plain_of: object) -> None:
    """Let the interpreter call `item` for `x[key]` of exactly this class.

    A subclass has slots of its own, which look up what it overrides. The items of an iteration are
    views or scalars, so they are ndarray's.

    Parameters
    ----------
    plain_of : returns an array in private memory as an ndarray.
    """
    global shared_kind, plain
    shared_kind, plain = kind, plain_of
    ours: cython.pointer(Type) = cython.cast(cython.pointer(Type), kind)
    theirs: cython.pointer(Type) = cython.cast(cython.pointer(Type), np.ndarray)
    ours.tp_as_mapping.mp_subscript = item
    ours.tp_as_sequence.sq_item = theirs.tp_as_sequence.sq_item


ndarray_item = cython.cast(cython.pointer(Type), np.ndarray).tp_as_mapping.mp_subscript
