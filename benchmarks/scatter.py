"""The biggest object in fragmented memory."""

from __future__ import annotations

import random
import shutil
import tempfile

import numpy as np

import scamem

from .harness import Report
from .peers import Peer

PIECE_BYTES = 64 << 10
SHARE = "biggest object, of the free memory"


def biggest(report: Report) -> None:
    """Fill an arena with objects of 64 KiB, free a random half, and find the largest object."""
    room = (16 << 20) if report.quick else (512 << 20)
    ours(report, room)
    peer = Peer("LMDB", "benchmarks.peers.database", "lmdb")
    missing = peer.reason_missing()
    if missing:
        report.missing(SHARE, "LMDB", missing)
    else:
        database(report, room)
    report.add(
        SHARE,
        [100 * PIECE_BYTES / (room / 2)],
        who="pool of segments",
        unit="%",
        note="by construction: one place",
    )
    report.missing(SHARE, "iceoryx2", "no question: its samples have one size")
    report.missing(SHARE, "SharedMemory", "no question: each segment is memory of its own")
    report.missing(SHARE, "Ray", "not measured; the design's trial saw 3.2 %")


def ours(report: Report, room: int) -> None:
    """Allocate all free frames as one object, and map it."""
    arena = scamem.Arena.create(capacity=room)
    pieces = [arena.alloc(PIECE_BYTES) for _ in range(room // PIECE_BYTES)]
    random.Random(1).shuffle(pieces)
    del pieces[: len(pieces) // 2]
    free = arena.stats().frames_free * arena.frame_bytes
    whole = arena.alloc(free)
    try:
        view = np.frombuffer(memoryview(whole.map()), np.uint8)
        view[:: arena.frame_bytes] = 1
        note = f"{free >> 20} MiB in {len(whole.runs):,} runs, seen as one view"
    except scamem.TooScatteredError as error:
        note = str(error)
    report.add(SHARE, [100 * whole.nbytes / free], unit="%", budget=100, at_least=True, note=note)
    view = np.empty(0, np.uint8)
    whole.close()
    pieces.clear()
    arena.close()


def database(report: Report, room: int) -> None:
    """Do the same with LMDB; find its biggest value by bisection."""
    import lmdb

    from .peers.database import PLACE, open_at

    path = tempfile.mkdtemp(prefix="scamem-bench-", dir=PLACE)
    environment = open_at(path, room)
    value = bytes(PIECE_BYTES - 64)  # whole pages with LMDB's header
    keys: list[bytes] = []
    try:
        while True:
            key = len(keys).to_bytes(8, "big")
            try:
                with environment.begin(write=True) as transaction:
                    transaction.put(key, value)
            except lmdb.MapFullError:
                break
            keys.append(key)
        random.Random(1).shuffle(keys)
        del_bytes = len(value) * (len(keys) // 2)
        for key in keys[: len(keys) // 2]:
            with environment.begin(write=True) as transaction:
                transaction.delete(key)
        least, most = 0, del_bytes
        while most - least > 4096:
            size = (least + most) // 2
            try:
                with environment.begin(write=True) as transaction:
                    transaction.put(b"big", bytes(size))
                    transaction.abort()
                least = size
            except lmdb.MapFullError:
                most = size
        report.add(SHARE, [100 * least / del_bytes], who="LMDB", unit="%")
    finally:
        environment.close()
        shutil.rmtree(path)
