"""All benchmarks by name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable

from . import (
    allocation,
    copying,
    dataset,
    death,
    drop_in,
    handing_over,
    io,
    locks,
    mapping,
    metadata,
    pages,
    queues,
    scatter,
    whole,
    without_copying,
)
from .harness import Report

BENCHMARKS: dict[str, Callable[[Report], None]] = {
    "alloc": allocation.alloc_free,
    "alloc-size": allocation.by_size,
    "pin": allocation.pin,
    "put-get": handing_over.one_process,
    "put-get-two": handing_over.two_processes,
    "hand-over": whole.hand_over,
    "in-place": handing_over.in_place,
    "copy": copying.copy_in,
    "read": io.read,
    "send": io.send,
    "reap": death.reap,
    "fork": death.fork,
    "shared-memory": drop_in.segments,
    "scatter": scatter.biggest,
    "vmap": mapping.vmap,
    "concatenate": without_copying.concatenate,
    "private": without_copying.private,
    "growable": without_copying.growable,
    "ring": without_copying.ring,
    "queue": queues.queue,
    "topic": queues.topic,
    "dataset": dataset.dataset,
    "locks": locks.locks,
    "pages": pages.lookups,
    "metadata": metadata.per_frame,
    "page-tables": metadata.page_tables,
}
