"""An arena served at a socket, and joined from other namespaces, users and processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.backing import sockets as backing
from tests.backing.children import Talk, child
from tests.death.nursery import ROOT, Nursery

NOBODY = 65534
INSIDE = """
import os, sys
import numpy as np, scamem
arena = scamem.Arena.join(socket=sys.argv[1])
given = scamem.from_handle(bytes.fromhex(sys.stdin.readline()))
given[0] = os.getpid()
made = arena.full(1000, 7)
arena["kept"] = made
lent = scamem.handle(made)
print(bytes(lent).hex(), flush=True)
sys.stdin.readline()
os.kill(os.getpid(), 9)
"""


def namespaces() -> list[str]:
    """A command that starts a program in pid and mount namespaces of its own; or skip."""
    command = ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no permission to make a pid namespace")
    return command


@contextlib.contextmanager
def inside(path: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [*namespaces(), sys.executable, "-c", INSIDE, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with started:
        try:
            yield started
        finally:
            started.kill()


def join(talk: Talk, path: str) -> None:
    arena = scamem.Arena.join(socket=path)
    held = arena["numbers"]
    talk.say(int(held.sum()))
    talk.hear()


def serve_and_wait(talk: Talk, path: str) -> None:
    arena = scamem.Arena.create(capacity="64M")
    arena["numbers"] = np.arange(4)
    arena.serve(path)
    talk.say()
    talk.hear()


@pytest.mark.parametrize("kind", ["anonymous", "named"])
def test_from_another_pid_namespace(sockets: Path, place: Path, kind: str) -> None:
    """Handles go both ways, and a death there is seen here."""
    name = "served" if kind == "named" else None
    with scamem.Arena.create(name, capacity="64M") as arena:
        given = arena.zeros(10, np.int64)
        with arena.serve(sockets / "s") as serving, inside(serving.path) as other:
            assert other.stdin is not None
            assert other.stdout is not None
            other.stdin.write(bytes(scamem.handle(given)).hex() + "\n")
            other.stdin.flush()
            data = bytes.fromhex(other.stdout.readline())
            loaded = scamem.from_handle(data)
            assert given[0] == 1  # the pid there
            assert loaded.sum() == 7000
            assert len(arena.stats().members) == 2
            other.stdin.write("die\n")
            other.stdin.flush()
            other.wait()
        assert len(arena.stats().members) == 1
        assert arena["kept"].sum() == 7000
        assert [holder.kind for holder in arena.holders(arena.objects()[0].index)]
        arena.clear()
        assert arena.check() == []


def as_nobody(talk: Talk, path: str) -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    try:
        arena = scamem.Arena.join(socket=path)
    except scamem.ArenaRefusedError as error:
        talk.say(str(error))
    else:
        arena["numbers"][0] = 9
        talk.say("joined")
    talk.hear()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
@pytest.mark.parametrize("mode", [0o600, 0o666])
def test_mode_bits_are_the_permission(
    arena: scamem.Arena, sockets: Path, nursery: Nursery, mode: int
) -> None:
    sockets.chmod(0o755)
    numbers = arena.zeros(4)
    arena["numbers"] = numbers
    with arena.serve(sockets / "s", mode=mode) as serving:
        assert os.stat(serving.path).st_mode & 0o777 == mode
        with nursery.start(as_nobody, serving.path) as other:
            said = other.hear()
    if mode == 0o600:
        assert "mode bits" in said
    else:
        assert (said, numbers[0]) == ("joined", 9)
    arena.clear()


def test_clients_that_hang_or_die(arena: scamem.Arena, sockets: Path, nursery: Nursery) -> None:
    arena["numbers"] = np.arange(4)
    hanging = []
    with arena.serve(sockets / "s") as serving:
        for number in range(200):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            client.connect(serving.path)
            if number % 2:
                client.close()
            else:
                hanging.append(client)
        with nursery.start(join, serving.path) as other:
            assert other.hear() == 6
            other.kill()
        for client in hanging:
            client.close()
    arena.clear()


def test_one_thread_serves_all_and_ends(sockets: Path) -> None:
    def threads() -> int:
        return sum(thread.name == "scamem-serve" for thread in threading.enumerate())

    arenas = [scamem.Arena.create(capacity="64M") for _ in range(3)]
    served = [arena.serve(sockets / str(k)) for k, arena in enumerate(arenas)]
    (serving,) = (thread for thread in threading.enumerate() if thread.name == "scamem-serve")
    assert threads() == 1
    for one, arena in zip(served, arenas, strict=True):
        assert scamem.Arena.join(socket=one.path) is arena
    arenas[0].close()
    with pytest.raises(scamem.ArenaNotFoundError):
        scamem.Arena.join(socket=served[0].path)
    served[1].close()
    served[1].close()
    arenas[2].close()
    serving.join(60)
    assert not serving.is_alive()
    again = arenas[1].serve(sockets / "again")
    assert threads() == 1
    assert scamem.Arena.join(socket=again.path) is arenas[1]
    arenas[1].close()


def test_a_forked_child_serves_nothing(arena: scamem.Arena, sockets: Path) -> None:
    with arena.serve(sockets / "s") as serving:

        def body(talk: Talk) -> None:
            mine = arena.serve(sockets / "child")
            talk.say(scamem.Arena.join(socket=mine.path) is arena)
            mine.close()

        with child(body) as forked:
            assert forked.hear()
            forked.wait()
        assert scamem.Arena.join(socket=serving.path) is arena


def test_killed_server(sockets: Path, nursery: Nursery) -> None:
    """Members go on; the socket that is left tells newcomers, and is replaced."""
    path = str(sockets / "s")
    with nursery.start(serve_and_wait, path) as server:
        server.hear()
        arena = scamem.Arena.join(socket=path)
        with pytest.raises(scamem.ArenaExistsError, match="another process serves"):
            arena.serve(path)
        server.kill()
    assert arena["numbers"].sum() == 6
    with pytest.raises(scamem.ArenaNotFoundError, match="has ended"):
        scamem.Arena.join(socket=path)
    arena.serve(path)
    with nursery.start(join, path) as other:
        assert other.hear() == 6
        other.kill()
    arena.clear()
    arena.close()


def test_errors(arena: scamem.Arena, sockets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(scamem.ArenaNotFoundError, match=r"arena\.serve"):
        scamem.Arena.join(socket=sockets / "nothing")
    with pytest.raises(ValueError, match="bytes"):
        arena.serve(sockets / ("x" * 200))
    join: Any = scamem.Arena.join
    for given in ({}, {"name": "a", "socket": "b"}):
        with pytest.raises(TypeError, match="give one of them"):
            join(**given)
    file = sockets / "file"
    file.touch()
    with pytest.raises(scamem.ArenaExistsError, match="no socket"):
        arena.serve(file)
    file.unlink()
    monkeypatch.setattr(backing, "TIMEOUT_S", 0.2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        silent.bind(str(sockets / "silent"))
        silent.listen()
        with pytest.raises(scamem.ArenaUnreachableError, match="did not answer"):
            scamem.Arena.join(socket=sockets / "silent")
    (sockets / "silent").unlink()


@pytest.mark.parametrize("data", [b"", b"hello", backing.MESSAGE.pack(backing.MAGIC, b"x" * 16)])
@pytest.mark.parametrize("files", [0, 2])
def test_another_program_listens(
    arena: scamem.Arena, sockets: Path, data: bytes, files: int
) -> None:
    """What it sends is checked, and its descriptors are closed."""
    path = str(sockets / "s")
    before = len(os.listdir("/proc/self/fd"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
        other.bind(path)
        other.listen()

        def answer() -> None:
            client, _ = other.accept()
            with client, open("/dev/null", "rb") as null:
                socket.send_fds(client, [data], [null.fileno()] * files)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(scamem.ArenaRefusedError):
            scamem.Arena.join(socket=path)
        thread.join()
    os.unlink(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_received_descriptors_are_not_inherited(place: Path) -> None:
    """A program that another thread starts meanwhile gets none of them."""
    path = str(place / "socket")
    with scamem.Arena.create(capacity="8M") as arena, arena.serve(path):
        _, descriptors = backing.receive(path)
    try:
        assert len(descriptors) >= 2
        assert not any(map(os.get_inheritable, descriptors))
    finally:
        for one in descriptors:
            os.close(one)


def test_a_thread_that_cannot_start_leaves_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    path = str(place / "socket")
    with scamem.Arena.create(capacity="8M") as arena:
        with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="new thread"):
            patched.setattr("scamem.membership.serving.threading.Thread.start", fail)
            arena.serve(path)
        assert not os.path.exists(path)
        with arena.serve(path) as serving:  # the next one serves
            assert scamem.Arena.join(socket=serving.path) is arena


def test_two_servers_at_one_path(place: Path) -> None:
    """A socket that is bound and does not listen yet is nobody's to replace."""
    path = str(place / "socket")
    bound = threading.Event()
    looked = threading.Event()
    found: list[object] = []
    listen = socket.socket.listen

    class Slow(socket.socket):
        def listen(self, *backlog: int) -> None:
            bound.set()
            looked.wait(0.2)  # the other one has this long to find the socket
            listen(self, *backlog)

    def first() -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("scamem.backing.sockets.socket.socket", Slow)
            made = backing.listen(path, 0o600)
        found.append(made)

    thread = threading.Thread(target=first)
    thread.start()
    bound.wait()
    with pytest.raises(scamem.ArenaExistsError, match="another process serves"):
        backing.listen(path, 0o600)
    looked.set()
    thread.join()
    (made,) = found
    assert isinstance(made, socket.socket)
    made.close()
