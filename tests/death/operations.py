"""What victims do while they are killed: one class an operation, `prepare` unarmed, `act` armed.

`perform` runs in a process with the stop hook: it joins, prepares, arms the hook on itself, acts,
and says how many stores that took. Where the hook ends its countdown it says nothing any more.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import signal
from typing import Any

import numpy as np

import scamem
from scamem import Arena, Scamem
from scamem.core.store import layout as L
from tests.backing.children import Talk

SLOTS = 8  # five for members: every sweep uses each of them again and again
SMALL_BYTES = 3 * 4096
LARGE_BYTES = 80 * 4096  # several runs in the arena of the sweeps
KEPT = "kept"
SCATTERED = "scattered"


class Hook:
    """The stop hook's words, in a named arena's control file."""

    def __init__(self, arena: str | Arena) -> None:
        path = arena if isinstance(arena, str) else arena.path
        self._control = os.open(os.path.join(path, "control"), os.O_RDWR | os.O_CLOEXEC)

    def read(self, at: int) -> int:
        return int.from_bytes(os.pread(self._control, 8, at * L.WORD_BYTES), "little")

    def write(self, at: int, value: int) -> None:
        os.pwrite(self._control, value.to_bytes(8, "little"), at * L.WORD_BYTES)

    def arm(self, stores: int, number: int = signal.SIGKILL, pid: int = 0) -> None:
        """A process, this one if 0, gets a signal from itself at its so-manieth store from now."""
        self.write(L.STOP_COUNTDOWN, stores)
        self.write(L.STOP_SIGNAL, number)
        self.write(L.STOP_PID, pid or os.getpid())

    def disarm(self) -> None:
        self.write(L.STOP_PID, 0)

    def close(self) -> None:
        os.close(self._control)


def no_core_dumps() -> None:
    """For processes that die on purpose."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def pattern(nbytes: int) -> Any:
    """What the tests fill objects with."""
    return np.arange(nbytes // 8, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)


def words(obj: Scamem, *, writable: bool = True) -> Any:
    """A view of an object as an array of 64-bit words."""
    view: Any = obj.map(writable=writable)
    return np.frombuffer(view, dtype=np.uint64)


def fill(obj: Scamem) -> None:
    words(obj)[:] = pattern(obj.nbytes)


def is_filled(obj: Scamem) -> bool:
    return bool((words(obj, writable=False) == pattern(obj.nbytes)).all())


class Operation:
    """One thing that a member does. `arena` is None only in `Join`."""

    joins_first = True

    def __init__(self, arena: Arena | None, handed: bytes) -> None:
        self.handed = handed
        self._arena = arena

    @property
    def arena(self) -> Arena:
        assert self._arena is not None
        return self._arena

    def act(self, path: str) -> None:
        raise AssertionError("each operation has its own")


class AllocSmall(Operation):
    def act(self, path: str) -> None:
        self.obj = self.arena.alloc(SMALL_BYTES)


class AllocLarge(Operation):
    def act(self, path: str) -> None:
        self.obj = self.arena.alloc(LARGE_BYTES)
        assert len(self.obj.runs) > 2


class FreeSmall(Operation):
    def __init__(self, arena: Arena, handed: bytes) -> None:
        super().__init__(arena, handed)
        self.obj = arena.alloc(SMALL_BYTES)

    def act(self, path: str) -> None:
        self.obj.close()


class FreeLarge(FreeSmall):
    def __init__(self, arena: Arena, handed: bytes) -> None:
        super().__init__(arena, handed)
        self.obj = arena.alloc(LARGE_BYTES)
        assert len(self.obj.runs) > 2


class GetName(Operation):
    """The first hold of another's object."""

    def act(self, path: str) -> None:
        self.obj = self.arena.get(KEPT)


class Map(Operation):
    """A view of one run, and one of several."""

    def __init__(self, arena: Arena, handed: bytes) -> None:
        super().__init__(arena, handed)
        self.objects = [arena.get(KEPT), arena.get(SCATTERED)]

    def act(self, path: str) -> None:
        self.views = [obj.map() for obj in self.objects]
        self.views.clear()


class Pin(Operation):
    """Pins taken and dropped; the last one is the last reference to an object."""

    def __init__(self, arena: Arena, handed: bytes) -> None:
        super().__init__(arena, handed)
        self.obj = arena.alloc(SMALL_BYTES)

    def act(self, path: str) -> None:
        pins = [self.obj.pin(), self.obj.pin(1, 1, io=True)]
        self.obj.close()
        for pin in pins:
            pin.close()


class Publish(Operation):
    def __init__(self, arena: Arena, handed: bytes) -> None:
        super().__init__(arena, handed)
        self.obj = arena.alloc(SMALL_BYTES)
        fill(self.obj)

    def act(self, path: str) -> None:
        self.arena.publish("victim", self.obj)


class Replace(Publish):
    """A name changes its object, and the old one's last reference goes."""

    def __init__(self, arena: Arena, handed: bytes) -> None:
        super().__init__(arena, handed)
        self.arena.publish("victim", self.obj)
        self.obj = arena.alloc(LARGE_BYTES)
        fill(self.obj)

    def act(self, path: str) -> None:
        self.arena["victim"] = self.obj


class Unpublish(Publish):
    """The area's is the last reference."""

    def __init__(self, arena: Arena, handed: bytes) -> None:
        super().__init__(arena, handed)
        self.arena.publish("victim", self.obj)
        self.obj.close()

    def act(self, path: str) -> None:
        self.arena.unpublish("victim")


class PublishWeak(Publish):
    """A name that does not keep its object; both go with the victim."""

    def act(self, path: str) -> None:
        self.arena.publish("victim", self.obj, weak=True)


class DropWeak(Publish):
    """The last reference besides a weak name goes, and the name with it."""

    def __init__(self, arena: Arena, handed: bytes) -> None:
        super().__init__(arena, handed)
        self.arena.publish("victim", self.obj, weak=True)

    def act(self, path: str) -> None:
        self.obj.close()


class Lend(Publish):
    def act(self, path: str) -> None:
        self.loan = bytes(scamem.handle(self.obj))
        self.obj.close()  # the record turns over to the arena, with the loan on it


class CancelLoan(Publish):
    def __init__(self, arena: Arena, handed: bytes) -> None:
        super().__init__(arena, handed)
        self.handle = scamem.handle(self.obj)
        self.loan = bytes(self.handle)

    def act(self, path: str) -> None:
        assert self.handle.cancel() == 1


class Load(Operation):
    """A handle from the test's own process."""

    def act(self, path: str) -> None:
        self.obj = scamem.from_handle(self.handed)


class Fork(Operation):
    """Prepare copies the records of three objects; the child ends at once."""

    def __init__(self, arena: Arena, handed: bytes) -> None:
        super().__init__(arena, handed)
        self.objects = [arena.alloc(SMALL_BYTES), arena.get(KEPT), arena.get(SCATTERED)]
        self.view = self.objects[2].map()

    def act(self, path: str) -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)


class Reap(Operation):
    """A dead member's objects, loan and pins are reaped."""

    def __init__(self, arena: Arena, handed: bytes) -> None:
        super().__init__(arena, handed)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            held = [arena.alloc(SMALL_BYTES), arena.alloc(LARGE_BYTES), arena.get(KEPT)]
            pins = [obj.pin() for obj in held]
            loan = bytes(scamem.handle(held[0]))
            os.write(write, b"%d" % len([*pins, loan]))
            signal.pause()
        assert os.read(read, 1) == b"4"
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def act(self, path: str) -> None:
        assert self.arena.reap() == 1


class Grow(Operation):
    """Frames are added to an object of one's own, and taken away again."""

    def __init__(self, arena: Arena, handed: bytes) -> None:
        super().__init__(arena, handed)
        self.obj = arena.alloc(SMALL_BYTES)

    def act(self, path: str) -> None:
        self.obj.resize(LARGE_BYTES)
        self.obj.resize(SMALL_BYTES // 2)


class Splice(Operation):
    """The frames of two objects become those of one."""

    def __init__(self, arena: Arena, handed: bytes) -> None:
        super().__init__(arena, handed)
        self.obj, self.other = arena.alloc(SMALL_BYTES), arena.alloc(LARGE_BYTES)

    def act(self, path: str) -> None:
        self.obj.splice(self.other)
        assert self.obj.nbytes == SMALL_BYTES + LARGE_BYTES


class ReapTainted(Operation):
    """A member died with I/O under way on an object of its own: its frames get new pages."""

    def __init__(self, arena: Arena, handed: bytes) -> None:
        super().__init__(arena, handed)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            pin = arena.alloc(LARGE_BYTES).pin(io=True)
            os.write(write, b"%d" % min(9, pin.nframes))
            signal.pause()
        assert os.read(read, 1) == b"9"
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def act(self, path: str) -> None:
        assert self.arena.reap() == 1


class Join(Operation):
    joins_first = False

    def act(self, path: str) -> None:
        self._arena = Arena.join(path)


def hold_and_die(path: str, members: int) -> None:
    """Fork members that hold an object and a loan of it, and kill them when all are there."""
    read, write = os.pipe()
    pids = []
    for _ in range(members):
        pid = os.fork()
        if pid == 0:
            held = scamem.handle(Arena.join(path).alloc(SMALL_BYTES))
            os.write(write, bytes(held)[:1])
            signal.pause()
        pids.append(pid)
    for _ in pids:
        assert os.read(read, 1)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os.close(read)
    os.close(write)


class JoinFull(Operation):
    """All slots have dead members: the newcomer reaps as a guest, then joins."""

    joins_first = False

    def act(self, path: str) -> None:
        self._arena = Arena.join(path)


class Put(Operation):
    """Any object, copied, and its handle sent."""

    def act(self, path: str) -> None:
        with scamem.by_handle():
            self.sent = pickle.dumps(self.arena.put({"values": pattern(SMALL_BYTES)}))


class FirstAlloc(Operation):
    """In a fresh arena: tables get memory, a section is brought online."""

    def act(self, path: str) -> None:
        self.obj = self.arena.alloc(SMALL_BYTES)


def free_slots(path: str) -> int:
    """How many slots nobody has."""
    control = Hook(path)
    free = sum(
        control.read(L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_STATE) == L.SLOT_STATE_FREE
        for slot in range(L.SLOT_FIRST, SLOTS)
    )
    control.close()
    return free


def perform(
    talk: Talk, kind: type[Operation], path: str, stores: int, handed: bytes, number: int
) -> None:
    """Do one operation, armed to stop at its `stores`-th store; say how many it took in all."""
    arena = Arena.join(path) if kind.joins_first else None
    if kind is JoinFull:
        hold_and_die(path, free_slots(path))
    doing = kind(arena, handed)
    hook = Hook(path)
    hook.arm(stores, number)
    doing.act(path)
    hook.disarm()
    talk.say(stores - hook.read(L.STOP_COUNTDOWN))


def join_and_work(path: str) -> int:
    """What a newcomer does first: it joins, allocates, reads, and frees."""
    arena = Arena.join(path)
    obj = arena.alloc(SMALL_BYTES)
    fill(obj)
    with contextlib.closing(obj):
        assert is_filled(obj)
        assert is_filled(arena.get(KEPT))
    return os.getpid()
