"""Words of a control file flipped at random: a clear error or an answer; no crash, hang or write.

Each child process takes a copy of an arena with objects of all kinds in it, flips some words,
joins, and looks at everything. It is stopped by a deadline; its death by a signal fails the test.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from tests.backing.children import child, run_script

DEADLINE_S = 20  # of each child: a hang, not a slow machine
CHILDREN = 12
FLIPS = 25  # arenas that a child damages


def fill(arena: Any) -> None:
    for number in range(20):
        arena[f"name {number}"] = np.full(3000, number)
    arena["any"] = {"x": np.arange(50)}
    for number in range(0, 20, 2):
        del arena[f"name {number}"]
    for _ in range(3):
        bytes(scamem.handle(arena.zeros(2000)))


@pytest.fixture(scope="module")
def original() -> Iterator[Path]:
    """A named arena with names, loans and holes; nobody is a member of it."""
    folder = Path(tempfile.mkdtemp(prefix="scamem-test-", dir="/dev/shm"))
    run_script(
        f"""
        import os, sys
        os.environ["SCAMEM_DIR"] = {str(folder)!r}
        sys.path.insert(0, ".")
        import scamem
        from tests.fuzz.test_control_file import fill
        with scamem.Arena.create({str(folder / "whole")!r}, capacity=8 << 20, slots=16) as arena:
            fill(arena)
        """
    )
    yield folder / "whole"
    shutil.rmtree(folder)


def copied(original: Path, to: Path) -> None:
    """Copy an arena, holes and all, and make the header say where its frames file is now."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(mode=0o700)
    for name in os.listdir(original):
        source, target = original / name, to / name
        size = source.stat().st_size
        with source.open("rb") as read, target.open("wb") as write:
            os.fchmod(write.fileno(), 0o600)
            os.ftruncate(write.fileno(), size)
            at = 0
            while at < size:
                try:
                    start = os.lseek(read.fileno(), at, os.SEEK_DATA)
                except OSError:
                    break
                at = os.lseek(read.fileno(), start, os.SEEK_HOLE)
                os.pwrite(write.fileno(), os.pread(read.fileno(), at - start, start), start)


def words_with_data(path: Path) -> list[int]:
    """The words of a file that are not 0."""
    found: list[int] = []
    with path.open("rb") as file:
        size = path.stat().st_size
        at = 0
        while at < size:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            words = np.frombuffer(os.pread(file.fileno(), at - start, start), np.uint64)
            found += [int(start // 8 + place) for place in np.flatnonzero(words)]
    return found


def flip(path: Path, numbers: random.Random, places: list[int]) -> list[tuple[int, int]]:
    """Damage some words: a bit, a neighbour's value, a wild value."""
    done = []
    with path.open("r+b") as file:
        for _ in range(numbers.choice((1, 1, 2, 5))):
            place = numbers.choice(places) + numbers.choice((0, 0, 0, 1))
            word = int.from_bytes(os.pread(file.fileno(), 8, place * 8), "little")
            word = numbers.choice(
                (
                    word ^ 1 << numbers.randrange(64),
                    word + numbers.choice((1, -1, 1 << 32)),
                    numbers.getrandbits(64),
                    0,
                    (1 << 64) - 1,
                )
            )
            os.pwrite(file.fileno(), (word % (1 << 64)).to_bytes(8, "little"), place * 8)
            done.append((place, word % (1 << 64)))
    return done


def digest(path: Path) -> str:
    """What stands in a file, holes aside."""
    words = words_with_data(path)
    with path.open("rb") as file:
        data = [os.pread(file.fileno(), 8, place * 8) for place in words]
    return hashlib.sha256(repr((words, data)).encode()).hexdigest()


def look_at_everything(path: str) -> list[str]:
    """Join and use all that reads; the names of the errors."""
    errors: list[str] = []
    before = digest(Path(path) / "control")
    try:
        arena = scamem.Arena.join(path)
    except scamem.ScamemError as error:
        if isinstance(error, scamem.ArenaRefusedError):
            assert digest(Path(path) / "control") == before
        return [type(error).__name__]
    arena._seat.member.lock_timeout_s = 0.2
    uses: list[Any] = [
        arena.stats,
        arena.objects,
        lambda: list(arena),
        lambda: [arena[name].nbytes for name in list(arena) if name.startswith("name")],
        lambda: [arena.holders(number) for number in range(30)],
        arena.free_bitmap,
        lambda: arena.page_to_scamem(3),
        lambda: [arena.zeros(5000) for _ in range(5)],
        lambda: arena.alloc(3 << 20).close(),
        lambda: arena.publish("new", np.arange(5), replace=True),
        lambda: arena.reap(loans=True),
        arena.check,
    ]
    for use in uses:
        try:
            use()
        except (scamem.ScamemError, LookupError) as error:
            errors.append(type(error).__name__)
    return errors


@pytest.mark.parametrize("seed", range(CHILDREN))
def test_flipped_words(original: Path, seed: int) -> None:
    places = words_with_data(original / "control")
    numbers = random.Random(seed)
    folder = original.parent / f"copy {seed}"
    for turn in range(FLIPS):
        copied(original, folder)
        flips = flip(folder / "control", numbers, places)

        def body(talk: Any) -> None:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # pytest's handler needs the GIL
            signal.alarm(DEADLINE_S)
            talk.say(look_at_everything(str(folder)))

        with child(body) as other:
            try:
                other.hear()
            except EOFError:
                status = other.wait()
                pytest.fail(
                    f"seed {seed}, turn {turn}, words {flips}: ended by signal "
                    f"{os.WTERMSIG(status)}"
                )
