"""The system calls of the experiments that Python has no function for."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_libc = ctypes.CDLL(None, use_errno=True)
_NUMBERS = {"x86_64": (321, 298), "aarch64": (280, 241)}  # bpf, perf_event_open

BPF_MAP_CREATE = 0
BPF_MAP_TYPE_ARRAY = 2
BPF_F_MMAPABLE = 1 << 10
PERF_TYPE_SOFTWARE = 1
PERF_COUNT_SW_DUMMY = 9
PERF_ATTR_BYTES = 128
MAP_FAILED = ctypes.c_void_p(-1).value

_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.vmsplice.restype = ctypes.c_ssize_t
_libc.vmsplice.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_uint]


def _numbers() -> tuple[int, int]:
    machine = platform.machine()
    if machine not in _NUMBERS:
        raise OSError(errno.ENOSYS, f"no system call numbers for {machine}")
    return _NUMBERS[machine]


def _check(value: int, what: str) -> int:
    if value < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return value


def bpf_array(pages: int) -> int:
    """A mappable BPF array map of so many values of a page each; a descriptor (root)."""
    attr = ctypes.create_string_buffer(
        struct.pack("<5I", BPF_MAP_TYPE_ARRAY, 4, mmap.PAGESIZE, pages, BPF_F_MMAPABLE), 72
    )
    number = _numbers()[0]
    return _check(_libc.syscall(number, BPF_MAP_CREATE, attr, len(attr)), "bpf(BPF_MAP_CREATE)")


def perf_event() -> int:
    """A dummy software event of this process; a descriptor."""
    attr = bytearray(PERF_ATTR_BYTES)
    struct.pack_into("<IIQ", attr, 0, PERF_TYPE_SOFTWARE, PERF_ATTR_BYTES, PERF_COUNT_SW_DUMMY)
    attr[40] = 1 << 5 | 1  # disabled, exclude_kernel
    buffer = ctypes.create_string_buffer(bytes(attr), PERF_ATTR_BYTES)
    number = _numbers()[1]
    return _check(_libc.syscall(number, buffer, 0, -1, -1, 0), "perf_event_open")


@contextmanager
def mapping(fd: int, pages: int) -> Iterator[Mapping]:
    """A shared mapping, unmapped at the end unless that was done before."""
    found = Mapping(fd, pages)
    try:
        yield found
    finally:
        found.close()


class Mapping:
    """A shared mapping of a descriptor at an address that is known."""

    def __init__(self, fd: int, pages: int) -> None:
        self.pages = pages
        self.length = pages * mmap.PAGESIZE
        protection = mmap.PROT_READ | mmap.PROT_WRITE
        address = _libc.mmap(None, self.length, protection, mmap.MAP_SHARED, fd, 0)
        if address == MAP_FAILED:
            _check(-1, "mmap")
        self.address: int = address
        self.open = True

    def write(self, offset: int, data: bytes) -> None:
        """Store bytes."""
        ctypes.memmove(self.address + offset, data, len(data))

    def touch(self) -> None:
        """Read a byte of each page, so that it is mapped."""
        for offset in range(0, self.length, mmap.PAGESIZE):
            ctypes.string_at(self.address + offset, 1)

    def close(self) -> None:
        """munmap(), once."""
        if self.open:
            self.open = False
            _check(_libc.munmap(self.address, self.length), "munmap")


class _Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def vmsplice(pipe: int, address: int, length: int) -> int:
    """Put a range of this process into a pipe: GUP by reference, without a copy."""
    vector = _Iovec(address, length)
    return _check(_libc.vmsplice(pipe, ctypes.byref(vector), 1, 0), "vmsplice")
