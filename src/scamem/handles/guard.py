"""See a plain pickling fail: nothing is called at its end, but what it has pickled is let go.

`pickle.dumps` makes a pickler in C, whose memo keeps every object that went into the message. A
Guard goes into it in place of a handle's bytes, and pickles as these. When the pickler ends, so
does the Guard, and its capsule's destructor is called *with the error under way*, if there is one.

An error alone does not say that the pickling failed: a pickler that somebody keeps may be let go
later, by another error, and its messages have been sent. So the loan is given back only where the
pickling is seen to be under way still: the frame that called the pickler is the current one, at the
same instruction, and the error has not reached it (its traceback does not name that frame). That is
so in `pickle.dumps(x)`, `pickle.dump(x, file)` and `Pickler(file).dump(x)`. Of a pickler that has a
name of its own it is never so: then the loan ends as one that is not loaded.
"""

import cython
from cython.cimports.cpython.pycapsule import PyCapsule_GetPointer, PyCapsule_New
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF
from cython.cimports.scamem.core.store.words import word
from cython.cimports.scamem.membership.member import Member

from scamem.errors import ScamemError


@cython.cclass
class Lent:
    """A loan, and where the pickler was called that it was made for."""

    def is_failing(self, traceback: cython.pointer(PyTracebackObject)) -> cython.bint:
        """Tell whether the call of the pickler is still under way. Needs: an error is."""
        frame: cython.pointer(PyFrameObject) = PyEval_GetFrame()
        if frame == cython.NULL or cython.cast(cython.p_void, frame) != self.frame:
            return False
        if PyFrame_GetLasti(frame) != self.at:
            return False
        while traceback != cython.NULL:
            if traceback.tb_frame == frame:
                return False
            traceback = traceback.tb_next
        return True

    def give_back(self) -> cython.void:
        """Give the loan back if nobody has loaded it; what cannot be, ends by itself."""
        try:
            self.member.cancel(self.loan, self.loan_id)
        except KeyboardInterrupt:
            PyErr_SetInterrupt()  # the pickling's own error goes first
        except ScamemError:
            return  # of a closed or damaged arena nothing is lent


@cython.cclass
class Guard:
    """A handle's bytes for a plain pickler, whose failing gives the loan in them back.

    Parameters
    ----------
    data : the handle's bytes, as which it is pickled.
    loan, loan_id : the loan in them.
    frame : where the pickler was called.
    """

    def __init__(
        self, data: bytes, member: Member, loan: word, loan_id: word, frame: object
    ) -> None:
        lent: Lent = Lent.__new__(Lent)
        lent.member = member
        lent.loan = loan
        lent.loan_id = loan_id
        lent.frame = cython.cast(cython.p_void, frame)  # only ever compared
        lent.at = PyFrame_GetLasti(cython.cast(cython.pointer(PyFrameObject), lent.frame))
        self.data = data
        self.capsule = PyCapsule_New(cython.cast(cython.p_void, lent), cython.NULL, ended)
        Py_INCREF(lent)

    def __reduce_ex__(self, protocol: object) -> tuple:
        return bytes, (self.data,)


def ended(capsule: object) -> cython.void:
    """Look at how a pickler ended. Called by the deallocation of a Guard."""
    lent: Lent = cython.cast(Lent, PyCapsule_GetPointer(capsule, cython.NULL))
    kind: cython.pointer(PyObject) = cython.NULL
    error: cython.pointer(PyObject) = cython.NULL
    traceback: cython.pointer(PyObject) = cython.NULL
    if PyErr_Occurred() != cython.NULL:
        PyErr_Fetch(cython.address(kind), cython.address(error), cython.address(traceback))
        if lent.is_failing(cython.cast(cython.pointer(PyTracebackObject), traceback)):
            lent.give_back()
        PyErr_Restore(kind, error, traceback)
    Py_DECREF(lent)
