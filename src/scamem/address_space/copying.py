"""The one copy of bytes into frames and between them; copying.h says how it is made.

    copy(destination, source, nbytes)

What decides is the processor, and the size of its last cache, which the kernel tells. The number of
threads for copies of 64 MiB and more is that of the processors that this process may use, at most
2; the variable SCAMEM_COPY_THREADS sets another, 1 for none.
"""

import os

import cython
from cython.cimports.cpython.buffer import PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.scamem.address_space.copying import (
    SCAMEM_COPY_THREADS_MAX,
    scamem_choose,
    scamem_copy,
    scamem_copying,
)

how = cython.declare(scamem_copying)
CACHES = "/sys/devices/system/cpu/cpu0/cache"
CACHE_BYTES = 32 << 20  # where the kernel does not tell
UNITS = {"K": 10, "M": 20, "G": 30}
PART_FROM_BYTES = 64 << 20
THREADS = 2  # more do not help: two fill the way to memory


def copy(destination: cython.p_void, source: cython.p_void, nbytes: cython.size_t) -> cython.void:
    """Copy bytes. Needs: the two ranges are mapped, and have no byte in common."""
    scamem_copy(
        cython.address(how),
        cython.cast(cython.p_char, destination),
        cython.cast(cython.p_char, source),
        nbytes,
    )


def copy_bytes(address: cython.ulonglong, source: object) -> None:
    """Copy a contiguous buffer to an address. Needs: enough room there.

    The GIL is released for more than 256 KiB.
    """
    view = cython.declare(Py_buffer)
    PyObject_GetBuffer(source, cython.address(view), PyBUF_SIMPLE)
    if view.len <= ALONE_BYTES:
        copy(cython.cast(cython.p_void, address), view.buf, view.len)
    else:
        with cython.nogil:
            copy(cython.cast(cython.p_void, address), view.buf, view.len)
    PyBuffer_Release(cython.address(view))


def bytes_at(address: cython.ulonglong, nbytes: cython.Py_ssize_t) -> bytes:
    """Return a copy of the bytes at an address. Needs: they are mapped."""
    made: bytes = PyBytes_FromStringAndSize(cython.NULL, nbytes)
    to: cython.p_char = PyBytes_AS_STRING(made)
    with cython.nogil:
        copy(to, cython.cast(cython.p_void, address), nbytes)
    return made


def cache_bytes() -> int:
    """Return the size of the last cache of the first processor."""
    for number in range(4, -1, -1):
        try:
            with open(f"{CACHES}/index{number}/size", "rb", buffering=0) as text:
                size = text.read(32).decode().strip()
        except OSError:
            continue
        digits = size.rstrip("KMG")
        if digits.isdigit():
            return int(digits) << UNITS.get(size.removeprefix(digits), 0)
    return CACHE_BYTES


def threads() -> int:
    """Return how many threads make a big copy."""
    asked = os.environ.get("SCAMEM_COPY_THREADS", "")
    if asked.isdigit():
        return min(max(int(asked), 1), SCAMEM_COPY_THREADS_MAX)
    return min(len(os.sched_getaffinity(0)), THREADS)


def choices() -> dict[str, int]:
    """Return how this process copies: from how many bytes on each means is used, 0 for never."""
    return {
        "string_from": how.string_from,
        "string_to": how.string_to,
        "stream_from": how.stream_from,
        "part_from": how.part_from,
        "threads": how.threads,
    }


def choose(**choices: int) -> None:
    """Set some of the `choices`, for tests and measurements."""
    how.string_from = choices.get("string_from", how.string_from)
    how.string_to = choices.get("string_to", how.string_to)
    how.stream_from = choices.get("stream_from", how.stream_from)
    how.part_from = choices.get("part_from", how.part_from)
    how.threads = min(max(choices.get("threads", how.threads), 1), SCAMEM_COPY_THREADS_MAX)


how.string_from = 0
how.string_to = 0
how.stream_from = 0
how.part_from = PART_FROM_BYTES
how.threads = threads()
scamem_choose(cython.address(how), cache_bytes())
