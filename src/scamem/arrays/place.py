"""Find where an array lies: in which object, and at which byte of it."""

import cython
from cython.cimports.cpython.object import PyObject
from cython.cimports.numpy import ndarray
from cython.cimports.scamem.arrays.construct import address_of, base_of
from cython.cimports.scamem.membership.member import Hold
from cython.cimports.scamem.views.view import View

from scamem.views.making import offset_in_object
from scamem.views.window import Window


@cython.cclass
class Place:
    """Where an array lies: the reference that keeps it, and its offset in the object in bytes."""


def root(array: object) -> object:
    """Return what keeps an array's memory: a Hold, a View, a foreign object, or an ndarray."""
    base: object = array
    below: cython.pointer(PyObject)
    while True:
        if isinstance(base, ndarray):
            below = base_of(base)
            if below == cython.NULL:
                return base
            base = cython.cast(object, below)
        elif isinstance(base, memoryview):
            base = base.obj
        elif isinstance(base, Window):
            base = base.base
        else:
            return base


def locate(array: object) -> Place:
    """Return where an array lies; None if its memory is private, or belongs to several objects."""
    base: object = root(array)
    hold: Hold
    view: View
    offset: cython.longlong
    if type(base) is Hold:
        hold = base
        offset = address_of(array) - hold.member.address_of(hold)
        if not 0 <= offset < hold.member.seat.capacity:
            offset = offset_in_object(hold, address_of(array))
        return new_place(hold, offset)
    if isinstance(base, View):
        view = base
        if not view.private and view.parts is None:
            return new_place(view.hold, address_of(array) - view.address)
    return None


def new_place(hold: Hold, offset: cython.longlong) -> Place:
    made: Place = Place.__new__(Place)
    made.hold = hold
    made.offset = offset
    return made
