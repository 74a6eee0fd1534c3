"""A slot's lock lives exactly as long as the address space that took it."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from scamem.backing import slot_locks
from scamem.backing.files import SLOT_BYTES_AT, SharedFile
from tests.backing.children import Talk, child, in_child, raw_fork, run_script


@pytest.fixture
def file() -> SharedFile:
    return SharedFile.memfd("scamem-test", 1 << 16)


def hold(file: SharedFile, slot: int, *, inherit: bool = False) -> int:
    return slot_locks.hold_slot(file.descriptor(), file.device, file.inode, slot, inherit)


def probe(file: SharedFile, slot: int) -> int:
    return slot_locks.probe(file.descriptor(), file.device, file.inode, slot)


def holding(file: SharedFile, then: Callable[[Talk], object]) -> Callable[[Talk], None]:
    """A child's body: hold slot 5, say so, and go on."""

    def body(talk: Talk) -> None:
        hold(file, 5)
        talk.say("held")
        then(talk)

    return body


def test_lock_is_seen_by_its_own_process_and_by_others(file: SharedFile) -> None:
    assert probe(file, 5) == 0
    page = hold(file, 5)
    assert probe(file, 5) == 1
    assert in_child(lambda: probe(file, 5)) == 1
    assert probe(file, 4) == probe(file, 6) == 0
    slot_locks.let_go(page)
    assert probe(file, 5) == 0


def test_second_owner_is_refused(file: SharedFile) -> None:
    page = hold(file, 5)
    with pytest.raises(BlockingIOError):
        hold(file, 5)
    slot_locks.let_go(page)
    slot_locks.let_go(hold(file, 5))


def test_first_and_last_slot_have_bytes_of_their_own(file: SharedFile) -> None:
    pages = [hold(file, slot) for slot in (0, (1 << 16) - 1)]
    assert [probe(file, slot) for slot in (0, 1, (1 << 16) - 2, (1 << 16) - 1)] == [1, 0, 0, 1]
    for page in pages:
        slot_locks.let_go(page)


def test_lock_is_at_the_documented_byte(file: SharedFile) -> None:
    page = hold(file, 5)
    asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, SLOT_BYTES_AT + 5, 1, 0)
    with open(f"/proc/self/fd/{file.descriptor()}", "r+b") as other:
        kind = struct.unpack("hhqqi4x", fcntl.fcntl(other, 36, asked))[0]  # F_OFD_GETLK
    assert kind == fcntl.F_WRLCK
    slot_locks.let_go(page)


def test_closerange_does_not_drop_it(file: SharedFile) -> None:
    def close_all(talk: Talk) -> None:
        keep = talk.descriptors()
        low, high = min(keep), max(keep)
        os.closerange(3, low)
        os.closerange(low + 1, high)
        os.closerange(high + 1, 65536)
        talk.say("closed")
        talk.hear()

    with child(holding(file, close_all)) as holder:
        assert [holder.hear(), holder.hear()] == ["held", "closed"]
        assert probe(file, 5) == 1
        holder.kill()
    assert probe(file, 5) == 0


@pytest.mark.parametrize("fork", [os.fork, raw_fork], ids=["fork", "raw fork"])
def test_forked_child_does_not_keep_it(file: SharedFile, fork: Callable[[], int]) -> None:
    page = hold(file, 5)
    with child(lambda talk: talk.hear(), fork=fork):
        slot_locks.let_go(page)
        assert probe(file, 5) == 0


def test_exec_drops_it(file: SharedFile) -> None:
    def execute(talk: Talk) -> None:
        read, write = talk.descriptors()
        os.set_inheritable(write, True)
        os.set_inheritable(read, True)
        script = (
            "import os, pickle, sys\n"
            "os.write(int(sys.argv[1]), pickle.dumps('executed'))\n"
            "os.read(int(sys.argv[2]), 1)\n"
        )
        os.execv(sys.executable, [sys.executable, "-c", script, str(write), str(read)])

    with child(holding(file, execute)) as holder:
        assert holder.hear() == "held"
        assert holder.hear() == "executed"
        assert probe(file, 5) == 0
        assert os.waitpid(holder.pid, os.WNOHANG) == (0, 0)  # alive, but another program


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_death_drops_it(file: SharedFile, number: signal.Signals) -> None:
    with child(holding(file, lambda talk: talk.hear())) as holder:
        assert holder.hear() == "held"
        assert probe(file, 5) == 1
        os.kill(holder.pid, number)
        holder.wait()
        assert probe(file, 5) == 0


def test_stopped_holder_counts_as_alive(file: SharedFile) -> None:
    with child(holding(file, lambda talk: talk.hear())) as holder:
        assert holder.hear() == "held"
        os.kill(holder.pid, signal.SIGSTOP)
        os.waitpid(holder.pid, os.WUNTRACED)
        assert probe(file, 5) == 1


def test_inherited_page_is_the_childs_lock(file: SharedFile) -> None:
    page = hold(file, 6, inherit=True)

    def body(talk: Talk) -> None:
        slot_locks.keep(page)
        talk.say("kept")
        with child(lambda deeper: deeper.hear(), fork=raw_fork) as grandchild:
            talk.hear()
            slot_locks.let_go(page)
            talk.say(probe(file, 6))  # the grandchild lives, and has no share in it
            talk.hear()
            grandchild.kill()

    with child(body) as heir:
        assert heir.hear() == "kept"
        slot_locks.let_go(page)
        assert probe(file, 6) == 1
        heir.say("go")
        assert heir.hear() == 0


def test_child_that_dies_before_it_keeps_the_page_drops_it(file: SharedFile) -> None:
    page = hold(file, 6, inherit=True)
    with child(lambda talk: talk.hear()) as heir:
        slot_locks.let_go(page)
        assert probe(file, 6) == 1
        heir.kill()
        assert probe(file, 6) == 0


def test_lock_page_is_in_no_core_dump_and_no_fork(file: SharedFile) -> None:
    page = hold(file, 5)
    with open("/proc/self/smaps") as smaps:
        text = smaps.read()
    slot_locks.let_go(page)
    flags = text[text.index(f"\n{page:x}-") :].partition("VmFlags:")[2].splitlines()[0].split()
    assert {"dc", "dd"} <= set(flags)


def test_replaced_descriptor_is_blind_and_its_file_left_alone(file: SharedFile) -> None:
    with tempfile.NamedTemporaryFile() as users:
        number = os.dup(file.descriptor())
        os.dup2(users.fileno(), number)  # what a closerange and the user's next open make
        assert slot_locks.probe(number, file.device, file.inode, 5) == -1
        with pytest.raises(OSError, match="not the arena's file"):
            slot_locks.open_again(number, file.device, file.inode)
        with pytest.raises(OSError, match="could not be locked"):
            slot_locks.hold_slot(number, file.device, file.inode, 5)
        assert os.path.samestat(os.fstat(number), os.fstat(users.fileno()))
        locks = Path("/proc/locks").read_text()
        assert f":{os.fstat(users.fileno()).st_ino} " not in locks
        os.close(number)
    assert slot_locks.probe(number, file.device, file.inode, 5) == -1


def test_no_descriptor_is_left_open(file: SharedFile) -> None:
    before = os.listdir("/proc/self/fd")
    page = hold(file, 5)
    for _ in range(3):
        with pytest.raises(BlockingIOError):
            hold(file, 5)
    probe(file, 5)
    slot_locks.let_go(page)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_full_descriptor_table_fails_cleanly(file: SharedFile) -> None:
    script = (
        "import os, resource\n"
        "from scamem.backing import slot_locks\n"
        "from scamem.backing.files import SharedFile\n"
        "f = SharedFile.memfd('scamem-test', 4096)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (f.descriptor() + 1,) * 2)\n"
        "try:\n"
        "    slot_locks.hold_slot(f.descriptor(), f.device, f.inode, 1)\n"
        "except OSError as error:\n"
        "    print('refused', slot_locks.probe(f.descriptor(), f.device, f.inode, 1))\n"
    )
    assert run_script(script) == "refused 0\n"
