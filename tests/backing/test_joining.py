"""A file is reached through whoever has it open, and an error says what was tried."""

from __future__ import annotations

import ctypes
import os
import pickle

import pytest

from scamem.backing import joining
from scamem.backing.files import SharedFile
from scamem.errors import ArenaUnreachableError
from tests.backing.children import Talk, child

PAGE = 4096
ID = b"an arena's id"


def right(file: SharedFile) -> str | None:
    address = file.map(0, PAGE)
    found = ctypes.string_at(address, len(ID))
    file.unmap(address, PAGE)
    return None if found == ID else "its id is another arena's"


def member(talk: Talk) -> None:
    """Make an arena's file that no other process inherits, and say where it is."""
    file = SharedFile.memfd("scamem-test", PAGE)
    ctypes.memmove(file.map(0, PAGE), ID, len(ID))
    talk.say((os.getpid(), file.descriptor(), file.device, file.inode))
    while True:
        what = talk.hear()
        if what == "move":
            moved = os.dup2(file.descriptor(), 200)
            os.close(file.descriptor())
            talk.say(moved)
        elif what == "replace":
            other = SharedFile.memfd("scamem-other", PAGE)
            os.dup2(other.descriptor(), file.descriptor())
            talk.say(None)


def reach(where: tuple[int, int, int, int], *more: tuple[int, int]) -> SharedFile:
    pid, descriptor, device, inode = where
    candidates = [*more, (pid, descriptor)]
    return joining.reach(candidates, device=device, inode=inode, verify=right, label="test")


def test_senders_descriptor() -> None:
    with child(member) as sender:
        where = sender.hear()
        file = reach(where)
        assert (file.device, file.inode, file.label) == (*where[2:], "test")
        sender.kill()
        assert right(file) is None  # it needs the sender no more


def test_descriptor_that_moved_in_the_senders_table() -> None:
    with child(member) as sender:
        where = sender.hear()
        sender.say("move")
        assert sender.hear() == 200
        assert reach(where).inode == where[3]


def test_inherited_descriptor_comes_first() -> None:
    file = SharedFile.memfd("scamem-test", PAGE)
    ctypes.memmove(file.map(0, PAGE), ID, len(ID))

    def heir(talk: Talk) -> None:
        where = (1 << 30, 3, file.device, file.inode)
        talk.say(reach(where).descriptor() != file.descriptor())

    with child(heir) as started:
        assert started.hear() is True


def test_another_member_when_the_sender_is_gone() -> None:
    with child(member) as gone, child(member) as here:
        where, other = gone.hear(), here.hear()
        gone.kill()
        assert reach(other, where[:2]).inode == other[3]


@pytest.mark.parametrize("trouble", ["dead", "zombie", "replaced", "never was"])
def test_error_says_what_was_tried_and_the_ways_out(trouble: str) -> None:
    with child(member) as sender:
        where = sender.hear()
        if trouble == "dead":
            sender.kill()
            expected = "no such process here"
        elif trouble == "zombie":
            os.kill(sender.pid, 9)
            os.waitid(os.P_PID, sender.pid, os.WEXITED | os.WNOWAIT)
            expected = "zombie"
        elif trouble == "replaced":
            sender.say("replace")
            sender.hear()
            expected = "it is another file now"
        else:
            where = (where[0], 9999, where[2], where[3] + (1 << 30))
            expected = "no longer has this descriptor"
        with pytest.raises(ArenaUnreachableError, match=expected) as caught:
            reach(where)
    for way in ("SCAMEM_ARENA", "named arena", "descriptor", "same user"):
        assert way in str(caught.value)
    assert len(caught.value.tried) == 2
    assert pickle.loads(pickle.dumps(caught.value)).tried == caught.value.tried


def test_file_of_another_arena_is_turned_down_and_closed() -> None:
    with child(member) as sender:
        pid, descriptor, device, inode = sender.hear()
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(ArenaUnreachableError, match="not this one"):
            joining.reach(
                [(pid, descriptor)], device=device, inode=inode, verify=lambda file: "not this one"
            )
        assert len(os.listdir("/proc/self/fd")) == before


def test_no_candidates() -> None:
    with pytest.raises(ArenaUnreachableError, match="none of this process's"):
        joining.reach([], device=1, inode=1, verify=right)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_another_users_process_is_refused() -> None:
    def stranger(talk: Talk) -> None:
        where = talk.hear()
        os.setgid(1234)
        os.setuid(1234)
        try:
            reach(where)
        except ArenaUnreachableError as error:
            talk.say(error.tried)

    with child(stranger) as other, child(member) as sender:
        other.say(sender.hear())
        assert "not permitted" in other.hear()[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_another_users_file_is_not_trusted_by_root() -> None:
    def user(talk: Talk) -> None:
        os.setgid(1234)
        os.setuid(1234)
        member(talk)

    with child(user) as sender:
        with pytest.raises(ArenaUnreachableError, match="belongs to user 1234"):
            reach(sender.hear())


def test_memfds_by_label() -> None:
    def labels(talk: Talk) -> None:
        made = [SharedFile.memfd(label, PAGE) for label in ("scamem-a", "other", "scamem-b")]
        talk.say([file.descriptor() for file in made])
        talk.hear()

    with child(labels) as other:
        first, _, last = other.hear()
        found = joining.labelled(other.pid, "scamem-")
        assert (first, "scamem-a") in found
        assert (last, "scamem-b") in found
        assert all(label.startswith("scamem-") for _, label in found)
        other.kill()
        assert joining.labelled(other.pid, "scamem-") == []
