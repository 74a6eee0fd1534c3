"""Detect that a plain pickling failed: no hook runs at its end, but what it pickled is released.

`pickle.dumps` makes a pickler in C. Its memo keeps every object in the message. A Guard is put in
place of a handle's bytes, and pickles as these bytes. When the pickler ends, the Guard is
deallocated, and its capsule's destructor runs; if the pickling failed, *the error is still set*.

An error alone does not prove that the pickling failed. A pickler that is kept may be released
later, during another error, after its messages were sent. So the loan is given back only if the
pickling is still in progress: the frame that called the pickler is the current one, at the same
instruction, and the error has not reached it (its traceback does not contain that frame). This is
so for `pickle.dumps(x)`, `pickle.dump(x, file)` and `Pickler(file).dump(x)`. For a pickler that is
kept in a variable it is never so: its loan then ends like one that is never loaded.
"""

import cython
from cython.cimports.cpython.pycapsule import PyCapsule_GetPointer, PyCapsule_New
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF
from cython.cimports.scamem.core.store.words import word
from cython.cimports.scamem.membership.member import Member

from scamem.errors import ScamemError


@cython.cclass
class Lent:
    """A loan, and where the pickler that it was made for was called."""

    def is_failing(self, traceback: cython.pointer(PyTracebackObject)) -> cython.bint:
        """Return whether the call of the pickler is still in progress. Needs: an error is set."""
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
        """Give the loan back unless it was loaded. If that is not possible, it ends by itself."""
        try:
            self.member.cancel(self.loan, self.loan_id)
        except KeyboardInterrupt:
            PyErr_SetInterrupt()  # the pickling's own error is raised first
        except ScamemError:
            return  # a closed or damaged arena has no loans


@cython.cclass
class Guard:
    """A handle's bytes for a plain pickler. If the pickling fails, the loan in them is given back.

    Parameters
    ----------
    data : the handle's bytes; the Guard is pickled as these.
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
        lent.frame = cython.cast(cython.p_void, frame)  # compared, never dereferenced
        lent.at = PyFrame_GetLasti(cython.cast(cython.pointer(PyFrameObject), lent.frame))
        self.data = data
        self.capsule = PyCapsule_New(cython.cast(cython.p_void, lent), cython.NULL, ended)
        Py_INCREF(lent)

    def __reduce_ex__(self, protocol: object) -> tuple:
        return bytes, (self.data,)


def ended(capsule: object) -> cython.void:
    """Check how a pickler ended. The deallocation of a Guard calls this."""
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
