"""iceoryx2: publish and subscribe with samples of one size, through its own queue.

Its nodes leave files in /dev/shm, and in a folder that the whole machine shares. Here each sender
has its own files and folder, and removes them when it closes. Other programs' are not touched.
"""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import tempfile
from typing import Any

import iceoryx2
import numpy as np

from . import Bytes, look


def service_of(folder: str, count: int) -> tuple[Any, Any]:
    """Open the service of a folder, with room for `count` samples."""
    iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
    name = os.path.basename(folder)
    own = iceoryx2.config.default()
    own.global_cfg.prefix = iceoryx2.FileName.new(f"{name}_")
    own.global_cfg.root_path = iceoryx2.Path.new(folder)
    node = iceoryx2.NodeBuilder.new().config(own).create(iceoryx2.ServiceType.Ipc)
    service = (
        node.service_builder(iceoryx2.ServiceName.new(name))
        .publish_subscribe(iceoryx2.Slice[ctypes.c_uint8])
        .subscriber_max_buffer_size(count + 1)
        .max_subscribers(1)
        .max_publishers(1)
        .history_size(0)
        .open_or_create()
    )
    return node, service


class Sends:
    """Loans a sample, fills it, sends it."""

    def __init__(self, nbytes: int, count: int) -> None:
        self.folder = tempfile.mkdtemp(prefix="scamem-bench-")
        self.count = count
        self.node, self.service = service_of(self.folder, count)
        self.publisher = (
            self.service.publisher_builder()
            .initial_max_slice_len(nbytes)
            .max_loaned_samples(2)
            .create()
        )
        self.nbytes = nbytes

    def put(self, array: Bytes) -> None:
        """Copy into a loaned sample and send it."""
        sample = self.publisher.loan_slice_uninit(self.nbytes)
        ctypes.memmove(sample.payload_ptr, array.ctypes.data, self.nbytes)
        sample.assume_init().send()

    def release(self, token: None) -> None:
        """Nothing: the receiver's release returns the sample."""

    def address(self) -> tuple[str, int]:
        """Return the folder, which identifies the service."""
        return self.folder, self.count

    def close(self) -> None:
        """Drop the ports and their files. Needs: the receiver is closed."""
        self.publisher.delete()
        del self.publisher, self.service, self.node
        for path in glob.glob(f"/dev/shm/{os.path.basename(self.folder)}_*"):
            os.unlink(path)
        shutil.rmtree(self.folder)


class Receives:
    """Reads samples in place."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.node, self.service = service_of(*address)
        self.subscriber = self.service.subscriber_builder().create()

    def get(self, token: None) -> int:
        """Receive the next sample, read it, release it."""
        del token  # samples come in order
        sample = self.subscriber.receive()
        payload = sample.payload()
        found = np.ctypeslib.as_array(
            ctypes.cast(payload.as_ptr(), ctypes.POINTER(ctypes.c_uint8)), (payload.len(),)
        )
        first = look(found)
        sample.delete()
        return first

    def close(self) -> None:
        """Drop the port."""
        self.subscriber.delete()
        del self.subscriber, self.service, self.node


def make_sender(nbytes: int, count: int) -> Sends:
    """Return a sender."""
    return Sends(nbytes, count)


def make_receiver(address: tuple[str, int]) -> Receives:
    """Return a receiver."""
    return Receives(address)
