"""The size of metadata, in bytes."""

from __future__ import annotations

import os

import numpy as np

import scamem
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry

from .harness import Report
from .machine import status_bytes

FRAME_BYTES = 4096
OBJECT_FRAMES = 16
GIBIBYTE = 1 << 30


def per_frame(report: Report) -> None:
    """Measure objects of 64 KiB: bytes of the control file for each frame and further holder."""
    room = (32 << 20) if report.quick else (512 << 20)
    size = Geometry.for_capacity(room)
    records = (L.OBJECT_WORDS + L.HOLDER_WORDS + L.RUN_WORDS) * L.WORD_BYTES
    tree = size.section_tree_words * L.WORD_BYTES / size.section_frames
    words = L.WORD_BYTES + tree + records / OBJECT_FRAMES
    report.add(
        "by the layout, 64 KiB objects",
        [words],
        unit="B/frame",
        budget=16,
        note=f"memdesc 8 + tree {tree:.2f} + records {records / OBJECT_FRAMES:.2f}",
    )
    arena = scamem.Arena.create(capacity=room)
    before = arena.stats().control_bytes
    objects = [arena.alloc(OBJECT_FRAMES * FRAME_BYTES) for _ in range(room >> 16)]
    behind = arena.stats().control_bytes
    frames = arena.stats().frames_online
    note = f"tables grow in steps of up to 4 MiB; {before:,} bytes before the first object"
    report.add("control file's blocks", [(behind - before) / frames], unit="B/frame", note=note)
    further_holder(report, arena, len(objects))
    objects.clear()
    arena.close()


def further_holder(report: Report, arena: scamem.Arena, held: int) -> None:
    """Fork a child, which then holds everything that this process holds."""
    report.add(
        "a further holder, by the layout", [L.HOLDER_WORDS * L.WORD_BYTES], unit="bytes", budget=64
    )
    before = arena.stats().control_bytes
    wake, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.read(wake, 1)
        os._exit(0)
    os.close(wake)
    growth = arena.stats().control_bytes - before
    os.close(go)
    os.waitpid(pid, 0)
    note = f"{growth:,} bytes for {held:,} objects; tables grow in steps, or had room"
    report.add("a further holder, blocks", [growth / held], unit="bytes", note=note)
    arena.reap()


def page_tables(report: Report) -> None:
    """Measure the page tables of a member that touched frames through the direct map."""
    room = (16 << 20) if report.quick else (256 << 20)
    arena = scamem.Arena.create(capacity=room)
    array = arena.empty(room, np.uint8)
    before = status_bytes("VmPTE")
    array[::FRAME_BYTES] = 1
    growth = (status_bytes("VmPTE") - before) * GIBIBYTE / room
    report.add(
        "each member, a GiB touched", [growth], unit="bytes", note="the design reckons with 2 MiB"
    )
    del array
    arena.close()
