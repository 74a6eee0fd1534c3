"""The one copy: every means gives the same bytes, at every size and place, and touches no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.address_space import copying

MEANS = {
    "memcpy": {"string_from": 0, "stream_from": 0, "threads": 1},
    "string": {"string_from": 1, "string_to": 1 << 40, "stream_from": 0, "threads": 1},
    "streaming": {"string_from": 0, "stream_from": 1, "threads": 1},
    "three threads": {"string_from": 0, "stream_from": 0, "part_from": 1, "threads": 3},
    "streaming threads": {"string_from": 0, "stream_from": 1, "part_from": 1, "threads": 16},
}


@pytest.fixture(params=list(MEANS))
def means(request: pytest.FixtureRequest) -> Iterator[str]:
    before = copying.choices()
    copying.choose(**MEANS[request.param])
    yield request.param
    copying.choose(**before)


def test_every_size_and_place(means: str) -> None:
    source = np.random.default_rng(5).integers(0, 255, 1 << 20, dtype=np.uint8)
    target = np.zeros_like(source)
    for nbytes in (0, 1, 15, 63, 64, 65, 127, 4095, 4096, 4097, 40_000, 300_001):
        for start in (0, 1, 16, 63):
            for shift in (0, 1, 17, 64):
                target[:] = 7
                place = target[100 + start :]
                copying.copy_bytes(place.ctypes.data, source[shift : shift + nbytes])
                assert (place[:nbytes] == source[shift : shift + nbytes]).all()
                assert (target[: 100 + start] == 7).all(), "before the range"
                assert (place[nbytes : nbytes + 200] == 7).all(), "behind the range"


def test_arrays_and_values_come_back(means: str) -> None:
    arena = scamem.default()
    plain = np.random.default_rng(6).random((300, 200, 5))
    for value in (
        plain,
        plain.T,
        plain[::2, 1:],
        plain.transpose(1, 0, 2),
        np.asfortranarray(plain),
    ):
        made = arena.array(value)
        assert (made == value).all()
        assert made.strides == np.array(value, order="K").strides
        assert (arena.get(arena.put(value)) == value).all()
        assert (arena.get(arena.put({"one": value}))["one"] == value).all()
        assert (made.snapshot() == value).all()
    data = plain.tobytes()
    assert arena.get(arena.put(data)) == data
    small = arena.array(plain, np.float32)
    assert (small == plain.astype(np.float32)).all()


def test_a_strided_source_needs_no_copy_of_its_own() -> None:
    """The peak of private memory says so: a temporary would be as big as the source."""
    program = """
        import resource, numpy as np, scamem
        arena = scamem.Arena.create(capacity="256M")
        for make in (lambda x: x[:, ::2], lambda x: x.T, lambda x: x):
            source = make(np.ones((4000, 4000)))
            arena.zeros(source.nbytes, np.uint8)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            kind = np.float32 if source.flags.c_contiguous else None
            made = arena.array(source, kind)
            shared = made.nbytes >> 10
            more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert more < shared + (20 << 10), (more, shared)
            del made, source
        print("fits")
    """
    assert run(program) == "fits\n"


def test_threads_of_the_environment() -> None:
    program = "from scamem.address_space import copying; print(copying.choices()['threads'])"
    for asked, expected in (("1", 1), ("5", 5), ("99", 16), ("0", 1)):
        assert run(program, SCAMEM_COPY_THREADS=asked) == f"{expected}\n"
    assert run(program, SCAMEM_COPY_THREADS="many") == run(program)


def test_no_thread_is_left_after_a_copy_and_forks_go_on() -> None:
    program = """
        import os, numpy as np, scamem
        from scamem.address_space import copying
        copying.choose(part_from=1 << 20, threads=4)
        x = scamem.array(np.arange(1 << 20))
        assert len(os.listdir("/proc/self/task")) == 1
        if os.fork() == 0:
            assert (scamem.array(np.arange(1 << 20)) == x).all()
            os._exit(0)
        print(os.wait()[1])
    """
    assert run(program, OPENBLAS_NUM_THREADS="1") == "0\n"


def test_a_signal_during_big_copies_reaches_python() -> None:
    """The helping threads block all signals: Python's handler runs, and the copies are whole."""
    before = copying.choices()
    copying.choose(part_from=1 << 20, threads=4)
    seen: list[int] = []
    old = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            os.kill(os.getpid(), signal.SIGUSR1)
            stop.wait(0.001)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        source = np.arange(1 << 19)
        while len(seen) < 5:
            made: Any = scamem.array(source)
            assert (made == source).all()
    finally:
        stop.set()
        sender.join()
        signal.signal(signal.SIGUSR1, old)
        copying.choose(**before)


def run(program: str, **environment: str) -> str:
    """Run a program in a process of its own; return what it printed."""
    import textwrap

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
