"""What the members of a soak do: random operations, everything that they hold verified.

Each thread has a pool of its own, so that no lock of the test's is held by a thread that a fork
leaves behind. What one worker sends to another goes through the bag, a datagram socket: a message
is there whole or not at all, whoever is killed.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import pickle
import random
import select
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

import scamem
from scamem import Arena, Handle, Pin, Scamem, View
from tests.backing.children import raw_fork
from tests.soak.contents import fill, verify

FRAME_BYTES = 4096
SECTION_BYTES = 8 << 20
MESSAGE_BYTES_MAX = 16_384
NAMES = 12
HELD_MAX = 24
REPORT_EVERY = 20
STEPS_MAX = 400
DEPTH_MAX = 3
LINGER_S = 0.02
EXPECTED = (  # what a full arena, or another worker's doing, may answer
    scamem.OutOfMemoryError,
    scamem.StaleHandleError,
    scamem.NameNotFoundError,
    scamem.NameExistsError,
    scamem.TooManyLoansError,
    scamem.SectionBusyError,
)


class Shared:
    """What all workers of a soak have: the bag, the pipe that ends them, the pipe of reports."""

    def __init__(self, send: int, receive: int, end: int, reports: int, name: str) -> None:
        self.numbers = (send, receive, end, reports)
        self.name = name
        self._send = socket.socket(fileno=send)
        self._receive = socket.socket(fileno=receive)
        self._end = end
        self._reports = reports

    def put(self, tag: bytes, data: bytes) -> bool:
        """Send one message; False if the bag is full."""
        try:
            self._send.send(tag + data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        return True

    def take(self) -> bytes:
        """Take one message; empty if there is none."""
        try:
            return self._receive.recv(MESSAGE_BYTES_MAX, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    def is_over(self, timeout_s: float = 0) -> bool:
        """Whether all are to end; waits so long for it."""
        return bool(select.select([self._end], [], [], timeout_s)[0])

    def report(self, text: str) -> None:
        """One line for the supervisor, whole or not at all (PIPE_BUF)."""
        os.write(self._reports, text.replace("\n", "\\n").encode()[:3000] + b"\n")


class Thread:
    """One thread of a worker: what it holds, and what it has done."""

    def __init__(self, shared: Shared, arenas: list[Arena], seed: int, depth: int) -> None:
        self.shared = shared
        self.arenas = arenas
        self.random = random.Random(seed)
        self.depth = depth
        self.held: list[Any] = []
        self.counts: Counter[str] = Counter()
        self.operations: list[Callable[[Arena], object]] = [
            *[self.alloc_small, self.alloc_large, self.make_array, self.scatter, self.again] * 2,
            *[self.drop, self.check_one, self.send, self.receive] * 3,
            *[self.publish, self.get_name, self.unpublish, self.put_any, self.fork],
            *[self.look_up, self.reap, self.cancel, self.raw, self.tangle, self.move],
        ]

    def arena(self) -> Arena:
        return self.random.choice(self.arenas)

    def run(self, steps: int) -> None:
        for step in range(steps):
            if self.shared.is_over():
                break
            operation = self.random.choice(self.operations)
            try:
                operation(self.arena())
                self.counts["operations"] += 1
            except EXPECTED as error:
                self.counts[type(error).__name__] += 1
                if isinstance(error, scamem.OutOfMemoryError):
                    for _ in range(len(self.held) // 3):
                        self.drop(self.arenas[0])
            while len(self.held) > HELD_MAX:
                self.drop(self.arenas[0])
            if step % REPORT_EVERY == 0:
                self.say()
        self.check_all()
        self.say()

    def say(self) -> None:
        for kind, count in self.counts.items():
            self.shared.report(f"{count} {kind}")
        self.counts.clear()

    # --- what is held ----------------------------------------------------------------------------

    def keep(self, thing: Any) -> None:
        self.held.append(thing)

    def verify(self, thing: Any) -> None:
        where = f"{os.getpid()} {thing!r:.80}"
        if isinstance(thing, tuple):
            obj, pin = thing
            wanted = obj.pages[pin.start : pin.start + pin.nframes]
            if not np.array_equal(pin.frames, wanted):
                raise AssertionError(f"{where}: pinned {pin.frames}, the object has {wanted}")
            thing = obj
        if isinstance(thing, Handle):
            thing = scamem.from_handle(thing)
        if isinstance(thing, dict):
            thing = thing["words"]
        if isinstance(thing, Scamem):
            thing = thing.map(writable=bool(self.random.getrandbits(1)))
        if isinstance(thing, View | bytes):
            thing = words_of(thing)
        self.counts["bytes verified"] += verify(thing, where)
        self.counts["objects verified"] += 1

    def check_all(self) -> None:
        for thing in list(self.held):
            self.verify(thing)

    def check_one(self, arena: Arena) -> None:
        if self.held:
            self.verify(self.random.choice(self.held))

    def drop(self, arena: Arena) -> None:
        if self.held:
            thing = self.held.pop(self.random.randrange(len(self.held)))
            if self.random.random() < 0.3:
                self.verify(thing)
            for part in thing if isinstance(thing, tuple) else (thing,):
                if isinstance(part, Scamem | Pin | Handle) and self.random.random() < 0.5:
                    part.close()

    def tangle(self, arena: Arena) -> None:
        """Leave something to the garbage collector, in a cycle."""
        if self.held:
            knot: list[Any] = [self.held.pop(self.random.randrange(len(self.held)))]
            knot.append(knot)
            del knot
            gc.collect(0)
            self.counts["cycles left to the garbage collector"] += 1

    # --- making ----------------------------------------------------------------------------------

    def made(self, arena: Arena, nbytes: int) -> Scamem:
        obj = arena.alloc(nbytes)
        fill(words_of(obj.map()), self.random.getrandbits(64))
        return obj

    def alloc_small(self, arena: Arena) -> None:
        self.keep(self.made(arena, self.random.randint(1, 64 * FRAME_BYTES)))

    def alloc_large(self, arena: Arena) -> None:
        self.keep(self.made(arena, self.random.randint(65, 1500) * FRAME_BYTES))

    def make_array(self, arena: Arena) -> None:
        words = arena.empty(self.random.randint(8, 40_000), dtype=np.uint64)
        fill(words, self.random.getrandbits(64))
        self.keep(words)

    def scatter(self, arena: Arena) -> None:
        """Leave holes, and take one object out of more than the largest of them."""
        pieces = [self.made(arena, FRAME_BYTES) for _ in range(self.random.randint(4, 30))]
        del pieces[::2]
        self.keep(self.made(arena, self.random.randint(65, 200) * FRAME_BYTES))

    def again(self, arena: Arena) -> None:
        """Hold once more what is held: by a view, a pin, a handle."""
        if not self.held:
            return
        thing = self.random.choice(self.held)
        if not isinstance(thing, Scamem):
            return
        way = self.random.randrange(3)
        if way == 0:
            self.keep(thing.map())
        elif way == 1:
            start = self.random.randrange(thing.nr)
            copy = scamem.from_handle(scamem.handle(thing))
            self.keep((copy, copy.pin(start, io=bool(self.random.getrandbits(1)))))
        else:
            self.keep(scamem.handle(thing))

    def put_any(self, arena: Arena) -> None:
        words = np.empty(self.random.randint(8, 3000), dtype=np.uint64)
        fill(words, self.random.getrandbits(64))
        value = self.random.choice([words, words.tobytes(), {"words": words}])
        handle = arena.put(value)
        self.keep(handle if self.random.getrandbits(1) else arena.get(handle))

    # --- names and handles -----------------------------------------------------------------------

    def name(self) -> str:
        return f"name-{self.random.randrange(NAMES)}"

    def one_of(self, arena: Arena) -> Any:
        """Something held of this arena that can be sent and published."""
        found = [
            thing
            for thing in self.held
            if isinstance(thing, scamem.Array)
            or (isinstance(thing, Scamem | Handle) and thing.arena is arena)
        ]
        return self.random.choice(found) if found else None

    def publish(self, arena: Arena) -> None:
        thing = self.one_of(arena)
        if thing is not None:
            arena.publish(self.name(), thing, replace=self.random.random() < 0.7)

    def get_name(self, arena: Arena) -> None:
        self.keep(arena.get(self.name()))

    def unpublish(self, arena: Arena) -> None:
        arena.unpublish(self.name())

    def send(self, arena: Arena) -> None:
        thing = self.one_of(arena)
        if thing is None:
            return
        if self.random.random() < 0.5:
            handle = thing if isinstance(thing, Handle) else scamem.handle(thing)
            if not self.shared.put(b"h", bytes(handle)):
                handle.cancel()
        elif not self.shared.put(b"p", bytes(ForkingPickler.dumps(thing))):
            self.counts["pickles that met a full bag, their loans untaken"] += 1

    def receive(self, arena: Arena) -> None:
        message = self.shared.take()
        try:
            if message[:1] == b"h":
                self.keep(scamem.from_handle(message[1:]))
            elif message[:1] == b"p":
                self.keep(pickle.loads(message[1:]))
        except scamem.ArenaUnreachableError:
            self.counts["ArenaUnreachableError"] += 1  # its sender ended, or is beyond a namespace

    def cancel(self, arena: Arena) -> None:
        thing = self.one_of(arena)
        if isinstance(thing, Scamem):
            with scamem.handle(thing) as handle:
                bytes(handle)
                if self.random.getrandbits(1):
                    handle.cancel()
                else:
                    self.counts["loans left in bytes that nobody reads"] += 1

    # --- looks, forks ----------------------------------------------------------------------------

    def look_up(self, arena: Arena) -> None:
        thing = self.one_of(arena)
        if isinstance(thing, Scamem):
            pfn = int(self.random.choice(thing.pages))
            found = thing.arena.page_to_scamem(pfn)
            if found is None or (found.index, found.generation) != (thing.index, thing.generation):
                if pfn in thing.pages:  # another thread may have moved it
                    raise AssertionError(f"page {pfn} of {thing!r} belongs to {found!r}")
            if thing.refcount < 1:
                raise AssertionError(f"{thing!r} is held, and counts 0 references")

    def move(self, arena: Arena) -> None:
        """Empty a section: what a name or this process alone has moves; then fill it again."""
        number = self.random.randrange(arena.capacity // SECTION_BYTES)
        try:
            arena.offline_section(number)
            self.counts["sections taken offline"] += 1
        finally:
            arena.online_section(number)  # the one of somebody who was killed, perhaps
        arena.trim()

    def reap(self, arena: Arena) -> None:
        arena.reap()

    def fork(self, arena: Arena) -> None:
        if self.depth < DEPTH_MAX and self.random.random() < 0.6:
            pid = os.fork()
            if pid == 0:
                seed = self.random.getrandbits(60)
                in_child(self.shared, self.arenas, self.held, seed, self.depth + 1)
            self.counts["forks"] += 1
            if self.random.getrandbits(1):
                self.await_child(pid)

    def await_child(self, pid: int) -> None:
        status = os.waitpid(pid, 0)[1]
        if status not in (0, signal.SIGKILL):
            self.shared.report(f"failure: a child of {os.getpid()} ended with {status:#x}")

    def raw(self, arena: Arena) -> None:
        """A child that no handler hears of, which outlives its parent perhaps.

        Beside other threads it would inherit their locks, malloc's among them, for good.
        """
        if threading.active_count() == 1 and self.random.random() < 0.6:
            pid = raw_fork()
            if pid == 0:
                select.select([], [], [], LINGER_S)
                os._exit(0)
            self.counts["raw forks"] += 1
            if self.random.getrandbits(1):
                self.await_child(pid)


def in_child(shared: Shared, arenas: list[Arena], held: list[Any], seed: int, depth: int) -> None:
    """Be a forked child: verify what was inherited, work on, end. Never returns."""
    guarded(shared, lambda: _work_as_child(shared, arenas, held, seed, depth))


def words_of(view: Any) -> Any:
    """The memory of a view, as the contents are written."""
    return np.frombuffer(view, dtype=np.uint64)


def guarded(shared: Shared, body: Callable[[], object], *, end: bool = True) -> None:
    """Run a process's work, report what it raises, and end the process; `end`: without a word."""
    status = 1
    try:
        body()
        status = 0
    except BaseException as error:  # noqa: BLE001 - told to the supervisor, which fails
        import traceback

        text = "".join(traceback.format_exception(error))[-2500:]
        shared.report(f"failure: process {os.getpid()}: {text}")
    finally:
        if end or status:
            os._exit(status)


def arrive(shared: Shared, arenas: list[Arena]) -> bool:
    """Make a forked child's first transactions; False if it is no member of some arena."""
    active = [arena for arena in arenas if arena._seat.member.is_active()]
    for arena in active:
        arena.reap()
    if len(active) < len(arenas):
        shared.report("1 children that fork could not make members")
    return len(active) == len(arenas)


def _work_as_child(
    shared: Shared, arenas: list[Arena], held: list[Any], seed: int, depth: int
) -> None:
    if not arrive(shared, arenas):
        return
    me = Thread(shared, arenas, seed, depth)
    me.held = held
    me.check_all()
    if me.random.random() < 0.5:
        del held[::2]
    me.run(me.random.randrange(60))
    if me.random.getrandbits(1):
        shared.report("1 processes that ended with everything held")
    else:
        me.held.clear()
        shared.report("1 processes that let go first")


def work(shared: Shared, arenas: list[Arena], seed: int) -> None:
    """Work in up to three threads, close and join again, until the steps are done."""
    generator = random.Random(seed)
    for _ in range(generator.randint(1, 3)):
        threads = [
            Thread(shared, arenas, generator.getrandbits(60), 0)
            for _ in range(generator.randint(1, 3))
        ]
        failures: list[BaseException] = []
        others = [
            threading.Thread(target=_run_thread, args=(shared, thread, failures))
            for thread in threads[1:]
        ]
        for other in others:
            other.start()
        try:
            threads[0].run(generator.randrange(STEPS_MAX))
        finally:
            for other in others:
                other.join()
        if shared.is_over() or generator.random() < 0.3:
            break  # with all of it held
        threads.clear()
        if generator.random() < 0.5 and shared.name:
            arenas = _join_again(shared, arenas)
    if generator.random() < 0.5:
        for arena in arenas:
            arena.close()
    shared.report("1 workers that ended by themselves")


def _join_again(shared: Shared, arenas: list[Arena]) -> list[Arena]:
    """Close the named arena and join it by its name."""
    named = next(arena for arena in arenas if arena.path)
    named.close()
    shared.report("1 arenas closed and joined again")
    return [Arena.join(shared.name), *[arena for arena in arenas if arena is not named]]


def _run_thread(shared: Shared, thread: Thread, failures: list[BaseException]) -> None:
    try:
        thread.run(thread.random.randrange(STEPS_MAX))
    except BaseException as error:  # noqa: BLE001 - a thread's failure ends its process
        guarded(shared, thread_failed(error))


def thread_failed(error: BaseException) -> Callable[[], object]:
    def body() -> None:
        raise error

    return body


def main(arguments: list[str]) -> None:
    """A worker that was spawned: it joins by name, and by a handle's bytes."""
    *numbers, name, handle, seed = arguments
    faulthandler.enable()  # a crash says where
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    send, receive, end, reports = (int(number) for number in numbers)
    shared = Shared(send, receive, end, reports, name)
    arenas = [Arena.join(name)]
    arenas.append(scamem.from_handle(bytes.fromhex(handle)).arena)
    kept = arenas[0].alloc(FRAME_BYTES)
    guarded(shared, lambda: work(shared, arenas, int(seed)), end=int(seed) % 2 == 0)
    shared.report(f"1 processes that ended as Python does, with {kept.nr} object in hand")
