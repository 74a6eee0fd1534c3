"""iceoryx2: publish and subscribe with samples of one size; what travels is in its own queue."""

from __future__ import annotations

import ctypes
import secrets
from typing import Any

import iceoryx2
import numpy as np

from . import Bytes


def service_of(name: str, count: int) -> tuple[Any, Any]:
    """Open the service; its queue and loans have room for so many samples."""
    iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
    node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)
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
        self.name = f"scamem-bench-{secrets.token_hex(6)}"
        self.count = count
        self.node, self.service = service_of(self.name, count)
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
        """The receiver's letting go gives it back."""

    def address(self) -> tuple[str, int]:
        """Return the service."""
        return self.name, self.count

    def close(self) -> None:
        """Drop the ports."""
        self.publisher.delete()
        del self.publisher, self.service, self.node


class Receives:
    """Receives samples where they lie."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.node, self.service = service_of(*address)
        self.subscriber = self.service.subscriber_builder().create()

    def get(self, token: None) -> int:
        """Take the next sample, look, let go."""
        del token  # samples come in order
        sample = self.subscriber.receive()
        payload = sample.payload()
        found = np.ctypeslib.as_array(
            ctypes.cast(payload.as_ptr(), ctypes.POINTER(ctypes.c_uint8)), (payload.len(),)
        )
        first = int(found[0])
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
