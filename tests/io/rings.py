"""Just enough of io_uring and vmsplice for the tests: by system calls, no library."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct

import numpy as np
import pytest

SETUP, ENTER, REGISTER = 425, 426, 427  # the same on every architecture
REGISTER_BUFFERS = 0
READ_FIXED = 4
GET_EVENTS = 1
PARAMS_BYTES = 120
RING_OFFSETS = {"sq": 0, "cq": 0x8000000, "sqes": 0x10000000}
SQE = struct.Struct("<BBHiQQIIQHHiQQ")
_libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        found = ctypes.get_errno()
        raise OSError(found, os.strerror(found))
    return result


def vmsplice(pipe: int, spans: np.ndarray) -> int:
    """Put pages themselves into a pipe, not a copy of them: bytes put in."""
    done: int = _libc.vmsplice(pipe, spans.ctypes.data_as(ctypes.c_void_p), len(spans), 0)
    if done < 0:
        found = ctypes.get_errno()
        raise OSError(found, os.strerror(found))
    return done


class Ring:
    """A ring of one request; memory that one process registers there, another may use."""

    def __init__(self) -> None:
        about = (ctypes.c_uint32 * (PARAMS_BYTES // 4))()
        try:
            self.fd = _call(SETUP, 1, about)
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.EPERM):
                pytest.skip(f"this kernel lets nobody here use io_uring: {error}")
            raise
        self._entries, self._cq_entries = about[0], about[1]
        self._sq, self._cq = list(about[10:20]), list(about[20:30])
        self._sq_map = self._map("sq", self._sq[6] + 4 * self._entries)
        self._cq_map = self._map("cq", self._cq[5] + 16 * self._cq_entries)
        self._sqes = self._map("sqes", SQE.size * self._entries)

    def _map(self, what: str, length: int) -> mmap.mmap:
        return mmap.mmap(self.fd, length, mmap.MAP_SHARED, offset=RING_OFFSETS[what])

    def register(self, spans: np.ndarray) -> None:
        """Have the kernel pin memory of this process, for as long as the ring is."""
        address = spans.ctypes.data_as(ctypes.c_void_p)
        _call(REGISTER, self.fd, REGISTER_BUFFERS, address, len(spans))

    def read_fixed(self, fd: int, address: int, nbytes: int) -> int:
        """Read into the first memory registered, whoever that was: bytes read."""
        sqe = SQE.pack(READ_FIXED, 0, 0, fd, 2**64 - 1, address, nbytes, 0, 1, 0, 0, 0, 0, 0)
        self._sqes[: SQE.size] = sqe
        tail = int.from_bytes(self._sq_map[self._sq[1] : self._sq[1] + 4], "little")
        self._sq_map[self._sq[6] : self._sq[6] + 4] = bytes(4)  # entry 0
        self._sq_map[self._sq[1] : self._sq[1] + 4] = (tail + 1).to_bytes(4, "little")
        assert _call(ENTER, self.fd, 1, 1, GET_EVENTS, None, 0) == 1
        result: int = struct.unpack_from("<QiI", self._cq_map, self._cq[5])[1]
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    def close(self) -> None:
        for one in (self._sq_map, self._cq_map, self._sqes):
            one.close()
        os.close(self.fd)
