"""Atomic operations on elements of arrays on frames; `scamem.atomics` has the documentation."""

import cython
from cython.cimports import numpy as cnp
from cython.cimports.scamem.membership.member import Hold
from cython.cimports.scamem.views.view import View

cnp.import_array()

ADD, SUB, AND, OR, XOR, EXCHANGE = range(6)
COUNT_MAX = 0x7FFFFFFF


def is_shared(base: object) -> cython.bint:
    """Return whether what keeps an array's memory keeps it in shared frames."""
    found: object = base
    while cnp.PyArray_Check(found):
        found = found.base
        if type(found) is Hold:
            return True
        if isinstance(found, memoryview):
            found = found.obj
    if isinstance(found, View):
        return not found.private
    return False


def address(array: object, index: object) -> cython.p_void:
    """Return where an element is; IndexError or TypeError if there is none."""
    found: cnp.ndarray = array
    at: cython.pointer(cython.char) = cython.cast(
        cython.pointer(cython.char), cnp.PyArray_DATA(found)
    )
    k: cython.Py_ssize_t
    one: cython.Py_ssize_t
    length: cython.Py_ssize_t
    indices: tuple = index if isinstance(index, tuple) else (index,)
    if len(indices) != cnp.PyArray_NDIM(found):
        raise IndexError(
            f"asked for the element {index!r} of an array of {cnp.PyArray_NDIM(found)} dimensions; "
            "give one number for each"
        )
    for k in range(len(indices)):
        one = indices[k]
        length = cnp.PyArray_DIM(found, k)
        if one < -length or one >= length:
            raise IndexError(f"index {one} is out of bounds for axis {k} with size {length}")
        at += (one + length if one < 0 else one) * cnp.PyArray_STRIDE(found, k)
    return cython.cast(cython.p_void, at)


def find(
    array: object, index: object, writes: cython.bint, found: cython.pointer(Element)
) -> cython.int:
    """Find an element on which atomic operations are possible; raise if it is not one."""
    if not cnp.PyArray_Check(array):
        raise TypeError(f"asked for an atomic operation on {type(array).__name__}; give an array")
    one: cnp.ndarray = array
    kind: cython.int = cnp.PyArray_TYPE(one)
    signed: cython.bint = kind == cnp.NPY_INT or kind == cnp.NPY_LONG or kind == cnp.NPY_LONGLONG
    unsigned: cython.bint = (
        kind == cnp.NPY_UINT or kind == cnp.NPY_ULONG or kind == cnp.NPY_ULONGLONG
    )
    found.size = cnp.PyArray_ITEMSIZE(one)
    if not (signed or unsigned) or cnp.PyArray_ISBYTESWAPPED(one):
        raise TypeError(
            f"asked for an atomic operation on elements of dtype {array.dtype}; possible are "
            "int32, uint32, int64 and uint64, in this machine's byte order"
        )
    found.is_signed = signed
    if not is_shared(array):
        raise TypeError(
            "asked for an atomic operation on an array in private memory, which no other process "
            "sees. Make it with scamem.zeros() or scamem.array()"
        )
    if writes and not cnp.PyArray_ISWRITEABLE(one):
        raise ValueError("asked to change an element of an array that is read-only")
    found.at = address(array, index)
    if cython.cast(cython.size_t, found.at) % found.size != 0:
        raise ValueError(
            f"the element lies across words: its address is no multiple of {found.size}. Atomic "
            "operations need aligned elements"
        )
    return 0


def bits(element: cython.pointer(Element), value: object) -> cython.ulonglong:
    """Return a value as the bits of an element; OverflowError if it does not fit."""
    signed: cython.longlong
    unsigned: cython.ulonglong
    small: cython.int
    small_unsigned: cython.uint
    try:
        if element.size == 8:
            if element.is_signed:
                signed = value
                return cython.cast(cython.ulonglong, signed)
            unsigned = value
            return unsigned
        if element.is_signed:
            small = value
            return cython.cast(cython.ulonglong, small)
        small_unsigned = value
        return small_unsigned
    except OverflowError:
        kind = "int" if element.is_signed else "uint"
        raise OverflowError(f"{value:,} does not fit into {kind}{8 * element.size}") from None


def number(element: cython.pointer(Element), value: cython.ulonglong) -> object:
    """Return the number that an element's bits stand for."""
    if element.size == 4:
        if element.is_signed:
            return cython.cast(cython.int, value)
        return cython.cast(cython.uint, value)
    if element.is_signed:
        return cython.cast(cython.longlong, value)
    return value


def load(array: object, index: object) -> int:
    """Return an element."""
    element = cython.declare(Element)
    find(array, index, False, cython.address(element))
    return number(cython.address(element), atomic_load(element.at, element.size))


def store(array: object, index: object, value: object) -> None:
    """Set an element."""
    element = cython.declare(Element)
    find(array, index, True, cython.address(element))
    atomic_store(element.at, element.size, bits(cython.address(element), value))


def change(array: object, index: object, value: object, how: cython.int) -> object:
    """Change an element; return its old value."""
    element = cython.declare(Element)
    find(array, index, True, cython.address(element))
    given: cython.ulonglong = bits(cython.address(element), value)
    return number(cython.address(element), atomic_change(element.at, element.size, how, given))


def add(array: object, index: object, value: object) -> int:
    """Add to an element; return its old value. The sum wraps around."""
    return change(array, index, value, 0)


def sub(array: object, index: object, value: object) -> int:
    """Subtract from an element; return its old value. The difference wraps around."""
    return change(array, index, value, 1)


def and_(array: object, index: object, value: object) -> int:
    """Keep those bits of an element that `value` has; return its old value."""
    return change(array, index, value, 2)


def or_(array: object, index: object, value: object) -> int:
    """Set the bits of `value` in an element; return its old value."""
    return change(array, index, value, 3)


def xor(array: object, index: object, value: object) -> int:
    """Invert the bits of `value` in an element; return its old value."""
    return change(array, index, value, 4)


def exchange(array: object, index: object, value: object) -> int:
    """Set an element; return its old value."""
    return change(array, index, value, 5)


def compare_exchange(array: object, index: object, expected: object, value: object) -> bool:
    """Set an element if it is `expected`, as one step; return whether it was."""
    element = cython.declare(Element)
    find(array, index, True, cython.address(element))
    old: cython.ulonglong = bits(cython.address(element), expected)
    new: cython.ulonglong = bits(cython.address(element), value)
    return atomic_swap_if(element.at, element.size, old, new)


def nap(array: object, index: object, value: object, nap_s: float) -> bool:
    """Return whether an element is not `value`; if it is, first nap until woken, or `nap_s`."""
    element = cython.declare(Element)
    find(array, index, False, cython.address(element))
    given: cython.ulonglong = bits(cython.address(element), value)
    nap_ns: cython.longlong = cython.cast(cython.longlong, max(0.0, min(1.0, nap_s)) * 1e9)
    if atomic_load(element.at, element.size) != given:
        return True
    if nap_ns > 0:
        with cython.nogil:
            element_wait(element.at, cython.cast(cython.uint, given), nap_ns)
    return atomic_load(element.at, element.size) != given


def wake(array: object, index: object, count: int | None = None) -> int:
    """Wake those that wait for an element; return how many were woken."""
    element = cython.declare(Element)
    find(array, index, False, cython.address(element))
    if count is not None and count < 0:
        raise ValueError(f"asked to wake {count} waiters; at least 0")
    return element_wake(element.at, COUNT_MAX if count is None else min(count, COUNT_MAX))
