"""A buffer that knows whether anybody uses it: `SharedMemory.close` asks."""

import cython
from cython.cimports.cpython.buffer import PyBuffer_FillInfo


@cython.cclass
class Window:
    """The bytes of an array, as a buffer that counts what is made over it.

    A memoryview, and all slices and casts of it, are one export. NumPy keeps an export for
    np.frombuffer, and none for np.ndarray(buffer=).

    Attributes
    ----------
    base : the array, which keeps the memory. exports : how many buffers are in use.
    """

    def __init__(self, base: object, address: int, nbytes: int, writable: bool) -> None:
        self.base = base
        self.writable = writable
        self.address = address
        self.nbytes = nbytes
        self.exports = 0

    def __getbuffer__(self, buffer: cython.pointer(Py_buffer), flags: cython.int):
        place: cython.p_void = cython.cast(cython.p_void, self.address)
        PyBuffer_FillInfo(buffer, self, place, self.nbytes, not self.writable, flags)
        self.exports += 1

    def __releasebuffer__(self, buffer: cython.pointer(Py_buffer)):
        self.exports -= 1
