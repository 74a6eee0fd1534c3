"""Hostile and old files: refused with a clear error and untouched, or used as designed."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.core.store import layout as L
from scamem.core.store.header import checksum
from scamem.membership import image
from tests.backing.children import Talk, child, in_child
from tests.limits.test_memory import refused, snapshot

CAPACITY_BYTES = 8 << 20
NOBODY = 65534
OPENERS = 6
ROUNDS = 10


def make(path: str) -> None:
    with scamem.Arena.create(path, capacity=CAPACITY_BYTES, slots=8) as arena:
        arena["x"] = np.arange(3)


@pytest.fixture
def path(place: Path) -> Path:
    """An arena that nobody is a member of."""
    in_child(lambda: make(str(place / "arena")))
    return place / "arena"


def header(path: Path, at: int, value: int, *, sealed: bool = True) -> None:
    """Change a word of the header, and make its checksum right again."""
    with (path / "control").open("r+b") as file:
        image.write_word(file.fileno(), at, value)
        words = image.copy(file.fileno(), L.SLOTS * L.WORD_BYTES)
        if sealed:
            total = checksum(words)
            image.write_word(file.fileno(), L.HEADER_CHECKSUM, total)


HEADERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "magic": (lambda p: header(p, L.HEADER_MAGIC, 7), "magic"),
    "version": (lambda p: header(p, L.HEADER_VERSION, 99), "version 99"),
    "byte order": (lambda p: header(p, L.HEADER_BYTE_ORDER, 0x0807060504030201), "byte order"),
    "checksum": (lambda p: header(p, L.HEADER_ID_LOW, 7, sealed=False), "checksum"),
    "no frames": (lambda p: header(p, L.HEADER_GEOMETRY, 0), "frames is 0"),
    "too many frames": (lambda p: header(p, L.HEADER_GEOMETRY, 1 << 60), "frames is"),
    "other zones": (lambda p: header(p, L.HEADER_GEOMETRY, 1 << 24), "number of sections"),
    "more than the file": (
        lambda p: header(p, L.HEADER_GEOMETRY + 5, 1 << 30),  # holder records
        "geometry needs",
    ),
    "odd sections": (lambda p: header(p, L.HEADER_GEOMETRY, 3 << 10), "not a multiple"),
    "settings": (lambda p: header(p, L.HEADER_SETTINGS, 1), "settings"),
    "unknown setting": (
        lambda p: header(p, L.HEADER_SETTINGS, 1 << 9 | (1 << 9 ^ L.MASK_32) << 32),
        "settings",
    ),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_header(path: Path, kind: str) -> None:
    change, said = HEADERS[kind]
    change(path)
    before = snapshot(path)
    _, message = refused(str(path))
    assert said in message
    assert snapshot(path) == before


def fifo(path: Path) -> None:
    (path / "frames").unlink()
    os.mkfifo(path / "frames", 0o600)


def second_name(path: Path) -> None:
    os.link(path / "control", path.parent / "second")


def linked(path: Path) -> None:
    (path / "frames").rename(path.parent / "elsewhere")
    (path / "frames").symlink_to(path.parent / "elsewhere")


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "control for all": (lambda p: (p / "control").chmod(0o644), "mode"),
    "frames for the group": (lambda p: (p / "frames").chmod(0o660), "mode"),
    "directory for all": (lambda p: p.chmod(0o755), "mode"),
    "a FIFO": (fifo, "type"),
    "a second name": (second_name, "nlink"),
    "a link inside": (linked, "symlink"),
    "truncated control": (lambda p: os.truncate(p / "control", 4096), "header"),
    "truncated frames": (lambda p: os.truncate(p / "frames", 4096), "size"),
    "empty control": (lambda p: os.truncate(p / "control", 0), "header"),
}


@pytest.mark.parametrize("kind", FILES)
def test_file(path: Path, kind: str) -> None:
    change, reason = FILES[kind]
    change(path)
    assert refused(str(path))[0] == reason


def as_nobody(path: Path) -> list[str]:
    """Try every way in as another user; return how each ended."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    ended = []
    for way in (scamem.Arena.join, scamem.Arena.open, scamem.Arena.create):
        try:
            way(str(path))
            ended.append("joined")
        except (scamem.ScamemError, OSError) as error:
            ended.append(type(error).__name__)
    for file in ("control", "frames"):
        try:
            (path / file).open("rb").close()
            ended.append("read")
        except OSError as error:
            ended.append(type(error).__name__)
    return ended


def test_another_user(path: Path) -> None:
    """Who is not its owner gets nowhere, and root does not trust another user's."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    path.parent.chmod(0o711)
    before = snapshot(path)
    ended = in_child(lambda: as_nobody(path))
    assert "joined" not in ended
    assert ended[3:] == ["PermissionError"] * 2
    assert snapshot(path) == before
    for file in (*path.iterdir(), path):
        os.chown(file, NOBODY, NOBODY)
    assert refused(str(path))[0] == "owner"


def open_at_once(talk: Talk, path: Path) -> None:
    talk.hear()
    with scamem.Arena.open(str(path), capacity=CAPACITY_BYTES) as arena:
        talk.say(arena.arena_id)
        talk.hear()


def test_openers_race(place: Path) -> None:
    """Join or create: all are in one arena, also where one of them was killed at any place."""
    for number in range(ROUNDS):
        path = place / f"raced-{number}"
        body = functools.partial(open_at_once, path=path)
        with contextlib.ExitStack() as openers:
            started = [openers.enter_context(child(body)) for _ in range(OPENERS)]
            for opener in started:
                opener.say()
            started[number % OPENERS].kill()
            survivors = [one for k, one in enumerate(started) if k != number % OPENERS]
            assert len({opener.hear() for opener in survivors}) == 1
        with scamem.Arena.join(str(path)) as arena:
            assert arena.check() == []
            assert [member.pid for member in arena.stats().members] == [os.getpid()]
    make(str(place / "last"))  # a maker clears away what killed ones left
    names = {"last", *(f"raced-{number}" for number in range(ROUNDS))}
    assert {entry.name for entry in place.iterdir()} == names


IN_NAMESPACE = """
import os, sys
import numpy as np, scamem
arena = scamem.Arena.join({path!r})
assert os.getpid() == 1
arena["from inside"] = np.arange(1000)
held = [arena.zeros(4096) for _ in range(20)]
assert (arena["x"] == np.arange(3)).all()
print(arena.slot, flush=True)
sys.stdin.readline()
os._exit(0)  # the first process of a namespace cannot kill itself; no code of ours runs any more
"""


def test_two_pid_namespaces(path: Path) -> None:
    """Two members are process 1 there: the one that lives stays, the dead one is reaped."""
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        pytest.skip("needs unshare(1) and root for a pid namespace")
    command = [unshare, "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("pid namespaces are not permitted here")
    script = IN_NAMESPACE.format(path=str(path))
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with scamem.Arena.join(str(path)) as arena:
        members: list[Any] = [subprocess.Popen([*command, sys.executable, "-c", script], **pipes)]
        try:
            assert int(members[0].stdout.readline()) != arena.slot
            assert (arena["from inside"] == np.arange(1000)).all()
            assert len(arena.objects()) == 22
            del arena["from inside"]
            members.append(subprocess.Popen([*command, sys.executable, "-c", script], **pipes))
            assert members[1].stdout.readline()
            stats = arena.stats()
            assert [member.pid for member in stats.members].count(1) == 2
            assert stats.objects == 42
            members[0].stdin.write("end\n")
            members[0].stdin.flush()
            members[0].wait()
            stats = arena.stats()
            assert [member.pid for member in stats.members].count(1) == 1
            assert stats.objects == 22
        finally:
            for member in members:
                member.kill()
                member.wait()
                member.stdin.close()
                member.stdout.close()
        assert arena.check() == []
        del arena["from inside"]
