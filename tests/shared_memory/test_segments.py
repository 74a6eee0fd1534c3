"""Segments as `multiprocessing.shared_memory` has them, in one process and in others."""

from __future__ import annotations

import errno
import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.managers import SharedMemoryManager
from scamem.shared_memory import SharedMemory, keeping
from tests.death.nursery import Nursery

STRANGER = """
import sys
from scamem.shared_memory import SharedMemory, keeping
shm = SharedMemory(sys.argv[1])
shm.buf[0] += 1
print(shm.size, len(shm.buf))
shm.close()
"""


def fill(segment: SharedMemory, value: int) -> None:
    assert segment.buf is not None
    segment.buf[:] = bytes([value]) * segment.size


def first(segment: SharedMemory) -> int:
    assert segment.buf is not None
    return segment.buf[0]


@pytest.mark.parametrize("nbytes", [1, 4095, 4096, 4097, 1_000_003])
def test_size_is_what_was_asked(segments: Path, nbytes: int) -> None:
    made = SharedMemory("sized", create=True, size=nbytes)
    assert made.buf is not None
    assert (made.size, len(made.buf), bytes(made.buf)) == (nbytes, nbytes, bytes(nbytes))
    command = [sys.executable, "-c", STRANGER, "sized"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(nbytes), str(nbytes)]
    assert first(made) == 1
    made.close()
    made.unlink()


def test_new_segments_are_zeroed(segments: Path) -> None:
    for _ in range(3):
        made = SharedMemory(create=True, size=100_000)
        assert bytes(made.buf or b"") == bytes(100_000)
        fill(made, 255)
        made.close()
        made.unlink()


@pytest.mark.parametrize("track", [True, False])
def test_closed_by_its_creator_and_opened_later(segments: Path, track: bool) -> None:
    made = SharedMemory("later", create=True, size=10, track=track)
    fill(made, 3)
    made.close()
    made.close()
    again = SharedMemory("later")
    assert first(again) == 3
    again.close()
    again.unlink()
    with pytest.raises(FileNotFoundError):
        SharedMemory("later")


def test_unlinked_by_another(segments: Path, nursery: Nursery) -> None:
    """The creator closed it and goes on; the memory goes when another unlinks the name."""
    made = SharedMemory("given", create=True, size=1 << 20)
    made.close()
    nursery.run(use_up, str(segments), "given")
    other = SharedMemory(create=True, size=1)  # it looks at what it keeps
    arena = scamem.Arena.join(keeping.ARENA)
    assert arena.stats().objects == 1
    other.close()
    other.unlink()


def use_up(place: str, name: str) -> int:
    os.environ["SCAMEM_DIR"] = place
    segment = SharedMemory(name)
    size = segment.size
    segment.close()
    segment.unlink()
    return size


def test_unlink_after_the_last_close(segments: Path, nursery: Nursery) -> None:
    """`close(); unlink()` by the only process that has it open is no error."""
    with nursery.start(create_and_wait, str(segments), "orphan") as victim:
        victim.hear()
        mine = SharedMemory("orphan")
        victim.kill()
    mine.close()
    mine.unlink()
    with pytest.raises(FileNotFoundError):
        mine.unlink()


def create_and_wait(talk: Any, place: str, name: str, track: bool = True) -> None:
    os.environ["SCAMEM_DIR"] = place
    segment = SharedMemory(name, create=True, size=100, track=track)
    fill(segment, 9)
    talk.say()
    talk.hear()
    segment.close()
    talk.say()
    talk.hear()


def test_an_old_segment_does_not_unlink_a_new_one(segments: Path) -> None:
    old = SharedMemory("same", create=True, size=10)
    old.unlink()
    new = SharedMemory("same", create=True, size=20)
    with pytest.raises(FileNotFoundError):
        old.unlink()
    old.close()
    again = SharedMemory("same")
    assert again.size == 20
    again.close()
    new.close()
    new.unlink()


VIEWS: dict[str, Callable[[Any], Any]] = {
    "slice": lambda buf: buf[:10],
    "cast": lambda buf: buf.cast("B"),
    "memoryview": memoryview,
    "frombuffer": lambda buf: np.frombuffer(buf, np.uint8),
    "asarray": np.asarray,
}


@pytest.mark.parametrize("how", VIEWS)
def test_close_with_views(segments: Path, how: str) -> None:
    made = SharedMemory(create=True, size=100)
    view: Any = VIEWS[how](made.buf)
    with pytest.raises(BufferError):
        made.close()
    assert made.buf is not None
    view[0] = 5
    assert first(made) == 5
    del view
    made.close()
    assert made.buf is None
    made.unlink()


@pytest.mark.parametrize("how", ["deleted", "closed"])
def test_an_array_keeps_the_memory(segments: Path, how: str) -> None:
    """An array by `buffer=` exports no buffer: nothing may be unmapped or reused under it."""
    made = SharedMemory(create=True, size=1 << 20)
    array: Any = np.ndarray(1 << 20, np.uint8, buffer=made.buf)
    array[:] = 7
    made.unlink()
    if how == "closed":
        made.close()
    del made
    gc.collect()
    others = [SharedMemory(create=True, size=1 << 20) for _ in range(4)]
    for other in others:
        fill(other, 1)
    assert (array == 7).all()
    assert scamem.is_shared(array)
    for other in others:
        other.close()
        other.unlink()


def test_errors(segments: Path) -> None:
    with pytest.raises(ValueError, match="positive integer"):
        SharedMemory(create=True, size=-1)
    with pytest.raises(ValueError, match="different from zero"):
        SharedMemory(create=True)
    with pytest.raises(ValueError, match="create=True"):
        SharedMemory()
    with pytest.raises(FileNotFoundError, match="no segment has this name") as missing:
        SharedMemory("missing")
    assert (missing.value.errno, missing.value.filename) == (errno.ENOENT, "missing")
    made = SharedMemory("there", create=True, size=1)
    with pytest.raises(FileExistsError, match="exists") as exists:
        SharedMemory("there", create=True, size=1)
    assert (exists.value.errno, exists.value.filename) == (errno.EEXIST, "there")
    for name, number in (("a/b", errno.EINVAL), ("/", errno.EINVAL), ("x" * 255, 36)):
        with pytest.raises(OSError, match="a name has") as wrong:
            SharedMemory(name, create=True, size=1)
        assert wrong.value.errno == number
    with pytest.raises(MemoryError):
        SharedMemory("huge", create=True, size=1 << 50)
    assert "huge" not in scamem.Arena.join(keeping.ARENA)
    scamem.Arena.join(keeping.ARENA)["other"] = {"not": "a segment"}
    with pytest.raises(ValueError, match="not that of a segment"):
        SharedMemory("other")
    del scamem.Arena.join(keeping.ARENA)["other"]
    made.close()
    made.unlink()


def test_leading_slash(segments: Path) -> None:
    made = SharedMemory("/slash", create=True, size=1)
    other = SharedMemory("slash")
    assert (made.name, other.name) == ("/slash", "slash")
    other.close()
    made.close()
    made.unlink()


def test_after_the_arena_was_removed(segments: Path) -> None:
    old = SharedMemory("old", create=True, size=10)
    for file in (segments / keeping.ARENA).iterdir():
        file.unlink()
    (segments / keeping.ARENA).rmdir()
    fill(old, 4)
    new = SharedMemory("old", create=True, size=10)
    assert (first(old), first(new)) == (4, 0)
    new.close()
    new.unlink()
    old.unlink()
    old.close()


def add_one(segment: SharedMemory, done: Any) -> None:
    assert segment.buf is not None
    segment.buf[0] += 1
    done.put(segment)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_sent_to_a_child_and_back(segments: Path, method: str) -> None:
    """The child ends before its segment is received: it is kept on its way."""
    context: Any = multiprocessing.get_context(method)
    queue = context.Queue()
    made = SharedMemory(create=True, size=10)
    child = context.Process(target=add_one, args=(made, queue))
    child.start()
    child.join()
    back = queue.get(timeout=60)
    assert (back.name, back.size, first(made)) == (made.name, 10, 1)
    for segment in (back, made):
        segment.close()
    made.unlink()


def make_one(value: int, queue: Any) -> None:
    made = SharedMemory(create=True, size=1000)
    fill(made, value)
    queue.put(made)


def test_made_by_a_child_that_ended(segments: Path) -> None:
    context: Any = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=make_one, args=(6, queue))
    child.start()
    child.join()
    got = queue.get(timeout=60)
    assert bytes(got.buf) == bytes([6]) * 1000
    got.close()
    got.unlink()


def test_plain_pickle_goes_by_name(segments: Path) -> None:
    made = SharedMemory(create=True, size=10)
    data = pickle.dumps(made)
    made.close()
    other = pickle.loads(data)
    assert (other.name, other.size) == (made.name, 10)
    other.close()
    made.unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(data)


def test_threads(segments: Path) -> None:
    """Threads that create, open, close and unlink lose nothing and leave nothing."""
    wrong: list[object] = []

    def work(number: int) -> None:
        try:
            for k in range(30):
                made = SharedMemory(f"t{number}-{k}", create=True, size=5000)
                other = SharedMemory(made.name)
                fill(other, number)
                assert first(made) == number
                made.close()
                other.close()
                made.unlink()
        except BaseException as error:  # noqa: BLE001 - reported below
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_program_that_closes_nothing(segments: Path) -> None:
    """At its end nothing is left: no segment, and no memory."""
    program = (
        "from scamem.shared_memory import SharedMemory\n"
        "import numpy as np\n"
        "a = SharedMemory(create=True, size=8 << 20)\n"
        "b = SharedMemory(a.name)\n"
        "x = np.ndarray(8 << 20, np.uint8, buffer=b.buf)\n"
        "x[:] = 1\n"
        "c = SharedMemory('stays', create=True, size=10, track=False)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    arena = scamem.Arena.join(keeping.ARENA)
    assert list(arena) == ["stays"]
    assert arena.stats().objects == 1
    kept = SharedMemory("stays")
    kept.close()
    kept.unlink()


SERVE = """
import sys
from scamem.managers import SharedMemoryManager
server = SharedMemoryManager(sys.argv[1], b"key").get_server()
print("ready", flush=True)
server.serve_forever()
"""


def test_a_manager_that_another_program_serves(segments: Path, tmp_path: Path) -> None:
    """`get_server` and `connect`, as of every manager."""
    address = str(tmp_path / "manager")
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, address], stdout=subprocess.PIPE, text=True
    ) as served:
        try:
            assert served.stdout is not None
            assert served.stdout.readline() == "ready\n"
            manager = SharedMemoryManager(address, b"key")
            manager.connect()
            segment = manager.SharedMemory(size=10)
            name = segment.name
            fill(segment, 3)
            segment.close()
            keeping.kept.clear()  # from here on only the server has it open
            again = SharedMemory(name)
            assert first(again) == 3
            again.unlink()
            again.close()
        finally:
            served.kill()
    with pytest.raises(multiprocessing.ProcessError, match="started"):
        started = SharedMemoryManager()
        started.start()
        try:
            started.get_server()
        finally:
            started.shutdown()


def test_an_interrupt_loses_no_segment(segments: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at what was unlinked may fail: everything is still kept."""
    kept = SharedMemory(create=True, size=10)
    fill(kept, 5)
    kept.close()

    def interrupt(*_about: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("scamem.handles.names.contains_version", interrupt)
        with pytest.raises(KeyboardInterrupt):
            SharedMemory(create=True, size=10)
    gc.collect()  # the traceback of the interrupt has held it so far
    again = SharedMemory(kept.name)
    assert first(again) == 5
    again.unlink()
    again.close()


def test_an_interrupted_close_lets_go(segments: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = SharedMemory("other", create=True, size=10, track=False)

    def interrupt(*_about: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("scamem.handles.names.contains_version", interrupt)
        with pytest.raises(KeyboardInterrupt):
            made.close()
    assert made._array is None
    made.unlink()


def test_versions_of_two_arenas(segments: Path) -> None:
    """An arena that was removed and made again counts from the beginning."""
    old = SharedMemory("old", create=True, size=10)
    old.close()
    subprocess.run(
        [sys.executable, "-m", "scamem", "rm", "--whole", "--force", "--arena", keeping.ARENA],
        check=True,
    )
    new = SharedMemory("new", create=True, size=10)
    fill(new, 9)
    assert new._version == old._version
    new.close()
    with pytest.raises(FileNotFoundError):
        old.unlink()
        old.unlink()
    again = SharedMemory("new")
    assert first(again) == 9
    again.unlink()
    again.close()


def test_manager(segments: Path) -> None:
    with SharedMemoryManager() as manager:
        segment = manager.SharedMemory(size=10)
        numbers = manager.ShareableList([1, 2])
        names = [segment.name, numbers.shm.name]
        segment.close()
        numbers.shm.close()
        for name in names:  # the server has them open
            again = SharedMemory(name)
            again.close()
    for name in names:
        with pytest.raises(FileNotFoundError):
            SharedMemory(name)
