"""A contiguous view of an object in this process, and the reference that keeps it.

A view of one run lies in the direct map and costs nothing; a view of several runs is a mapping of
its own (address_space.map.vmap), unmapped when the last buffer taken from the view is gone. Buffers
(memoryview, NumPy) keep the view alive, the view keeps the reference. A view may show frames of
several objects, and keeps a reference on each; it may be private (copy-on-write), and it may have
address space behind it to grow into.
"""

import cython
from cython.cimports.cpython.buffer import PyBuffer_FillInfo
from cython.cimports.posix.mman import munmap
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.membership import process
from cython.cimports.scamem.membership.member import Hold


@cython.no_gc_clear  # a cycle's collection leaves what deallocation needs; heard only here
@cython.cclass
class View:
    """Memory of an object that Python can look at.

    Attributes
    ----------
    hold : the reference that keeps it (a mapping's or a pin's).
    address, nbytes : where it is in this process, and its length in bytes.
    runs : mappings that it is made of; 0 where it lies in the direct map.
    writable : whether it may be written.
    private : whether what is written to it is this process's alone.
    growing : whether it is of an object that is only appended to.
    parts : of a view that shows more than one object from its start: (reference, first frame,
        frames) of each stretch of it, in order; else None. They keep the objects.
    """

    def __init__(self) -> None:
        raise TypeError("views are made by Scamem.map")

    def __getbuffer__(self, buffer: cython.pointer(Py_buffer), flags: cython.int):
        PyBuffer_FillInfo(
            buffer,
            self,
            cython.cast(cython.p_void, self.address),
            self.nbytes,
            not self.writable,
            flags,
        )

    def __dealloc__(self) -> None:
        unmap(self)


def new_view(
    held: Hold,
    address: cython.ulonglong,
    nbytes: cython.ulonglong,
    writable: cython.bint,
    runs: cython.ulonglong,
) -> View:
    made: View = View.__new__(View)
    made.hold = held
    made.address = address
    made.nbytes = nbytes
    made.length = nbytes
    made.writable = writable
    made.runs = runs
    made.mapped = 1 if runs != 0 else 0
    return made


def unmap(view: View) -> cython.void:
    """Unmap a stitched view: forgotten by fork first, unmapped, counted. Before its hold goes."""
    # A forked child that is no member has no such mapping: what is there now is a stranger's.
    if view.mapped != 0 and view.hold.member.mine[L.MINE_STATUS] == L.MEMBER_ACTIVE:
        view.mapped = 0
        process.lock_local()
        process.remove_range(view.hold.member.mine, view.address)
        process.state[1] += view.runs
        munmap(cython.cast(cython.p_void, view.address), view.length)
        process.unlock_local()


def make_view(
    held: Hold,
    address: int,
    nbytes: int,
    writable: bool,
    runs: int,
    *,
    private: bool = False,
    parts: tuple | None = None,
) -> View:
    """Return a view of mapped memory; a stitched one (runs > 0) owns its mapping."""
    made: View = new_view(held, address, nbytes, writable, runs)
    made.private = private
    made.parts = parts
    return made


def make_growing_view(held: Hold, address: int, length: int) -> View:
    """Return a read-only view of nothing yet, which owns `length` bytes of reserved addresses."""
    made: View = new_view(held, address, 0, False, 1)
    made.length = length
    made.growing = True
    return made


def grow_view(view: View, nbytes: int, runs: int) -> None:
    """Let a view show `nbytes` bytes, for which `runs` more mappings were made."""
    view.nbytes = nbytes
    view.runs += runs


def cut_view(view: View) -> None:
    """Give up the address space behind what a view shows: others may have mapped there."""
    process.lock_local()
    process.remove_range(view.hold.member.mine, view.address)
    view.length = view.nbytes
    if view.length == 0:
        view.mapped = 0
    else:
        process.add_range(view.hold.member.mine, view.address, view.length)
    process.unlock_local()


def runs_unmapped() -> int:
    """Return how many mappings of stitched views this process has given back, ever."""
    return process.state[1]
