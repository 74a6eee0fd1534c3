from socket import socket
from typing import Self

import numpy as np
from numpy.typing import NDArray

from scamem.address_space.io import HasDescriptor

class Pin:
    start: int
    nframes: int
    @property
    def frames(self) -> NDArray[np.uint64]: ...
    @property
    def nbytes(self) -> int: ...
    def iovec(self, start: int = 0, nbytes: int | None = None) -> NDArray[np.uint64]: ...
    def read_from(
        self,
        fd: int | HasDescriptor,
        offset: int | None = None,
        nbytes: int | None = None,
        *,
        start: int = 0,
    ) -> int: ...
    def write_to(
        self,
        fd: int | HasDescriptor,
        offset: int | None = None,
        nbytes: int | None = None,
        *,
        start: int = 0,
    ) -> int: ...
    def send(self, sock: socket, nbytes: int | None = None, *, start: int = 0) -> int: ...
    def recv_into(self, sock: socket, nbytes: int | None = None, *, start: int = 0) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: object, error: object, trace: object) -> None: ...
