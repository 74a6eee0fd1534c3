"""A contiguous view of an object in this process, and the reference that keeps it.

A view of one run lies in the direct map and costs nothing. A view of several runs is a separate
mapping (address_space.map.vmap), unmapped when the last buffer over it is deallocated. Buffers
(memoryview, NumPy) keep the view alive, and the view keeps the reference. A view can show frames of
several objects, with a reference on each. It can be private (copy-on-write), and it can have
reserved address space behind it to grow into.
"""

import cython
from cython.cimports.cpython.buffer import PyBuffer_FillInfo
from cython.cimports.posix.mman import munmap
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.membership import process
from cython.cimports.scamem.membership.member import Hold


@cython.no_gc_clear  # GC must not clear what __dealloc__ uses; only the decorator works
@cython.cclass
class View:
    """A contiguous view of an object's memory: a buffer for memoryview and np.frombuffer.

    Attributes
    ----------
    hold : the reference that keeps it (a mapping's or a pin's).
    address, nbytes : where it is in this process, and its length in bytes.
    runs : the mappings that it consists of; 0 if it lies in the direct map.
    writable : whether it may be written.
    private : whether writes to it stay in this process.
    growing : whether the object is append-only.
    parts : (reference, first frame, frames) of each part, in order, for a view of more than one
        part. They keep the objects. Else None.
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

    def __len__(self) -> int:
        return self.nbytes

    def __getitem__(self, key: object) -> object:
        return memoryview(self)[key]

    def __setitem__(self, key: object, value: object) -> None:
        memoryview(self)[key] = value

    def __repr__(self) -> str:
        how = "private" if self.private else "writable" if self.writable else "read-only"
        return f"<View of {self.nbytes:,} bytes at {self.address:#x}, {how}>"

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
    """Unmap a stitched view: remove fork's entry, unmap, count. Runs before its hold is dropped."""
    # A forked child that is no member does not have this mapping: the address is foreign there.
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
    """Return a view of mapped memory. A stitched one (runs > 0) owns its mapping."""
    made: View = new_view(held, address, nbytes, writable, runs)
    made.private = private
    made.parts = parts
    return made


def make_growing_view(held: Hold, address: int, length: int) -> View:
    """Return an empty read-only view, which owns `length` bytes of reserved addresses."""
    made: View = new_view(held, address, 0, False, 1)
    made.length = length
    made.growing = True
    return made


def grow_view(view: View, nbytes: int, runs: int) -> None:
    """Make a view show `nbytes` bytes, for which `runs` more mappings were made."""
    view.nbytes = nbytes
    view.runs += runs


def cut_view(view: View) -> None:
    """Give up the address space behind what a view shows: other mappings may be there already."""
    process.lock_local()
    process.remove_range(view.hold.member.mine, view.address)
    view.length = view.nbytes
    if view.length == 0:
        view.mapped = 0
    else:
        process.add_range(view.hold.member.mine, view.address, view.length)
    process.unlock_local()


def runs_unmapped() -> int:
    """Return how many mappings of stitched views this process has unmapped so far."""
    return process.state[1]
