"""Files of an arena: what they refuse, what a lost descriptor does, and which limit is named."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scamem.backing import files, head_room, system
from scamem.backing.files import SharedFile
from scamem.errors import (
    ArenaExistsError,
    ArenaNotFoundError,
    ArenaRefusedError,
    BlindError,
    OutOfMemoryError,
)
from tests.backing.children import Talk, child, in_child, run_script

PAGE = system.PAGE_BYTES
MIB = 1 << 20
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def file() -> SharedFile:
    return SharedFile.memfd("scamem-test", 64 * MIB)


@pytest.fixture
def users(place: Path) -> Iterator[int]:
    """A descriptor of a file of the user's, with something in it."""
    fd = os.open(place / "users", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"precious" * 1024)
    yield fd
    os.close(fd)


def steal(file: SharedFile, users: int) -> int:
    """Put the user's file in the place of the kept descriptor, as closerange and open do."""
    number = file.descriptor()
    os.dup2(users, number)
    return number


class TestMaking:
    def test_memfd_is_sparse_labelled_and_cannot_be_truncated(self, file: SharedFile) -> None:
        fd = file.descriptor()
        assert (file.size, file.path, file.allocated_bytes()) == (64 * MIB, None, 0)
        assert os.readlink(f"/proc/self/fd/{fd}") == "/memfd:scamem-test (deleted)"
        assert not os.get_inheritable(fd)
        with pytest.raises(PermissionError):
            os.ftruncate(fd, PAGE)
        with pytest.raises(PermissionError):
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)

    def test_a_tebibyte_is_only_address_space(self) -> None:
        large = SharedFile.memfd("scamem-test", 1 << 40)
        address = large.map(0, large.size)
        ctypes.memmove(address + large.size - 4, b"last", 4)
        assert large.allocated_bytes() == PAGE
        large.unmap(address, large.size)

    @pytest.mark.parametrize("size", [0, -1, files.SIZE_BYTES_MAX + 1])
    def test_sizes_that_locks_would_lie_in(self, size: int, place: Path) -> None:
        with pytest.raises(ValueError, match="are possible"):
            SharedFile.memfd("scamem-test", size)
        with pytest.raises(ValueError, match="are possible"):
            SharedFile.create(place / "frames", size)
        assert list(place.iterdir()) == []

    def test_named_file_is_its_owners_alone_whatever_the_umask(self, place: Path) -> None:
        before = os.umask(0o277)
        try:
            made = SharedFile.create(place / "frames", PAGE)
        finally:
            os.umask(before)
        assert os.stat(place / "frames").st_mode & 0o777 == 0o600
        again = SharedFile.open(place / "frames")
        assert (again.size, again.device, again.inode) == (PAGE, made.device, made.inode)
        with pytest.raises(ArenaExistsError):
            SharedFile.create(place / "frames", PAGE)

    def test_file_size_limit_is_named_and_no_signal_sent(self) -> None:
        printed = run_script(
            """
            import os, resource, signal
            from scamem.backing.files import SharedFile
            from scamem.errors import OutOfMemoryError
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
            path = f"/dev/shm/scamem-test-{os.getpid()}"
            for make in (lambda: SharedFile.memfd("scamem-test", 1 << 21),
                         lambda: SharedFile.create(path, 1 << 21)):
                try:
                    make()
                except OutOfMemoryError as error:
                    print(error.limit, error.asked_bytes, error.free_bytes, os.path.exists(path))
            """
        )
        assert printed == "RLIMIT_FSIZE 2097152 1048576 False\n" * 2


class TestTrust:
    def test_missing(self, place: Path) -> None:
        with pytest.raises(ArenaNotFoundError):
            SharedFile.open(place / "frames")

    @pytest.mark.parametrize("reason", ["symlink", "type", "fifo", "mode", "nlink"])
    def test_refused(self, place: Path, reason: str) -> None:
        path = place / "frames"
        SharedFile.create(place / "other", PAGE)
        if reason == "symlink":
            path.symlink_to("other")
        elif reason == "type":
            path.mkdir()
        elif reason == "fifo":
            os.mkfifo(path)
            reason = "type"
        elif reason == "mode":
            (place / "other").rename(path)
            path.chmod(0o640)
        else:
            path.hardlink_to(place / "other")
        with pytest.raises(ArenaRefusedError) as caught:
            SharedFile.open(path)
        assert (caught.value.reason, caught.value.path) == (reason, str(path))

    @root_only
    def test_foreign_owner(self, place: Path) -> None:
        SharedFile.create(place / "frames", PAGE)
        os.chown(place / "frames", 1234, 1234)
        with pytest.raises(ArenaRefusedError, match="user 1234") as caught:
            SharedFile.open(place / "frames")
        assert caught.value.reason == "owner"

    def test_descriptor_that_can_be_truncated(self, users: int) -> None:
        with pytest.raises(ArenaRefusedError) as caught:
            SharedFile.from_descriptor(users)
        assert caught.value.reason == "seals"

    def test_descriptor_that_is_no_file(self) -> None:
        read, write = os.pipe()
        with pytest.raises(ArenaRefusedError) as caught:
            SharedFile.from_descriptor(read)
        assert caught.value.reason == "type"
        os.close(read)
        os.close(write)

    def test_own_descriptor_is_opened_anew(self, file: SharedFile) -> None:
        again = SharedFile.from_descriptor(file.descriptor())
        assert again.descriptor() != file.descriptor()
        assert (again.inode, again.label, again.size) == (file.inode, "scamem-test", file.size)
        file.close()
        assert again.allocated_bytes() == 0


class TestLostDescriptor:
    def test_stolen_number_is_neither_used_nor_closed(self, file: SharedFile, users: int) -> None:
        number = steal(file, users)
        with pytest.raises(BlindError):
            file.descriptor()
        file.close()
        assert os.path.samestat(os.fstat(number), os.fstat(users))
        os.close(number)

    def test_got_again_by_path(self, place: Path, users: int) -> None:
        named = SharedFile.create(place / "frames", PAGE)
        number = steal(named, users)
        assert named.descriptor() != number
        assert os.fstat(named.descriptor()).st_ino == named.inode
        os.close(number)

    def test_path_that_became_another_file_is_not_taken(self, place: Path, users: int) -> None:
        named = SharedFile.create(place / "frames", PAGE)
        os.unlink(place / "frames")
        SharedFile.create(place / "frames", PAGE)
        number = steal(named, users)
        with pytest.raises(BlindError):
            named.descriptor()
        os.close(number)

    def test_got_again_from_another_member(self, file: SharedFile, users: int) -> None:
        with child(lambda talk: talk.hear()) as member:
            number = steal(file, users)
            file.other_pids = lambda: [1 << 30, member.pid]
            assert os.fstat(file.descriptor()).st_ino == file.inode
            member.kill()
            os.dup2(users, file.descriptor())
            with pytest.raises(BlindError):
                file.descriptor()
        os.close(number)

    def test_nothing_is_written_to_the_users_file(self, file: SharedFile, users: int) -> None:
        before = os.pread(users, 1 << 20, 0), os.fstat(users).st_blocks
        calls = 0
        true_descriptor = SharedFile.descriptor

        def stolen_just_after() -> int:
            nonlocal calls
            calls += 1
            number = true_descriptor(file)
            if calls == 1:
                os.dup2(users, number)
            return number

        file.other_pids = lambda: [member.pid]
        with child(lambda talk: talk.hear()) as member:
            actions: tuple[Callable[[], None], ...] = (
                lambda: file.unmap(file.map(0, PAGE), PAGE),
                lambda: file.punch(0, PAGE),
                lambda: file.allocate(0, PAGE),
            )
            for action in actions:
                calls = 0
                file.descriptor = stolen_just_after  # type: ignore[method-assign] # the race
                with contextlib.suppress(BlindError):
                    action()
                del file.descriptor
                assert os.pread(users, 1 << 20, 0) == before[0]
        assert os.fstat(users).st_size == len(before[0])


class TestMapping:
    def test_members_see_one_memory(self, file: SharedFile) -> None:
        address = file.map(PAGE, PAGE)

        def write() -> None:
            there = file.map(0, 2 * PAGE)
            ctypes.memmove(there + PAGE, b"hello", 5)

        in_child(write)
        assert ctypes.string_at(address, 5) == b"hello"
        file.unmap(address, PAGE)

    def test_inherit_is_for_the_child(self, file: SharedFile) -> None:
        address = file.map(0, PAGE, inherit=True)
        ctypes.memmove(address, b"hello", 5)
        assert in_child(lambda: ctypes.string_at(address, 5)) == b"hello"
        file.unmap(address, PAGE)

    def test_read_only(self, file: SharedFile) -> None:
        address = file.map(0, PAGE, writable=False)
        with child(lambda talk: ctypes.memset(address, 1, 1)) as writer:
            assert os.WTERMSIG(writer.wait()) == signal.SIGSEGV
        file.unmap(address, PAGE)

    def test_fixed_replaces_a_reservation(self, file: SharedFile) -> None:
        space = system.reserve(3 * PAGE)
        assert file.map(0, PAGE, address=space + PAGE) == space + PAGE
        ctypes.memset(space + PAGE, 1, PAGE)
        system.munmap(space, 3 * PAGE)

    def test_too_many_mappings_are_named(self) -> None:
        if int(Path("/proc/sys/vm/max_map_count").read_text()) > 200_000:
            pytest.skip("vm.max_map_count is raised here: as many mappings take long")
        printed = run_script(
            """
            from scamem.backing.files import SharedFile
            from scamem.errors import OutOfMemoryError
            f = SharedFile.memfd("scamem-test", 1 << 20)
            made = []
            try:
                while len(made) < 100_000:
                    made.append(f.map(0, 4096, writable=len(made) % 2 == 0))
            except OutOfMemoryError as error:
                limit = error.limit
            for address in made:
                f.unmap(address, 4096)
            print(limit)
            """
        )
        assert printed == "vm.max_map_count\n"


class TestAllocating:
    def test_steps_and_progress(self, file: SharedFile) -> None:
        steps: list[int] = []
        file.allocate(MIB, 40 * MIB, progress=steps.append)
        assert steps == [16 * MIB, 32 * MIB, 40 * MIB]
        assert file.allocated_bytes() == 40 * MIB
        file.allocate(0, 48 * MIB)
        assert file.allocated_bytes() == 48 * MIB

    def test_full_file_needs_no_head_room(
        self, file: SharedFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file.allocate(0, file.size)
        no_room = head_room.Room("a limit of the test", file.size, 0)
        monkeypatch.setattr(head_room, "machine", lambda proc: no_room)
        file.allocate(0, file.size)
        file.punch(0, PAGE)
        with pytest.raises(OutOfMemoryError, match="a limit of the test") as caught:
            file.allocate(0, file.size)
        assert (caught.value.asked_bytes, caught.value.free_bytes) == (PAGE, 0)

    def test_signals_do_not_keep_it_from_ending(self, file: SharedFile) -> None:
        def under_fire() -> tuple[int, bool]:
            hits = []
            signal.signal(signal.SIGALRM, lambda *_: hits.append(1))
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            try:
                file.allocate(0, file.size)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            return file.allocated_bytes(), bool(hits)

        assert in_child(under_fire) == (file.size, True)

    def test_interrupted_step_is_made_shorter_and_done_again(
        self, file: SharedFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[int, int]] = []

        def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
            asked.append((offset, length))
            if len(asked) == 1:
                raise InterruptedError

        monkeypatch.setattr(system, "fallocate", fallocate)
        file.allocate(0, MIB)
        assert asked[:3] == [(0, MIB), (0, 256 << 10), (256 << 10, 512 << 10)]
        assert sum(length for _, length in asked[1:]) == MIB

    @root_only
    def test_full_file_system_is_named(self, place: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        point = os.fsencode(place / "small")
        os.mkdir(point)
        if libc.mount(b"tmpfs", point, b"tmpfs", 0, b"size=4m") != 0:
            pytest.skip(f"may not mount a tmpfs: {os.strerror(ctypes.get_errno())}")
        try:
            named = SharedFile.create(place / "small" / "frames", 64 * MIB)
            named.allocate(0, 2 * MIB)
            with pytest.raises(OutOfMemoryError, match="file system of") as caught:
                named.allocate(0, 32 * MIB)
            assert caught.value.free_bytes <= 2 * MIB
            assert named.allocated_bytes() == 2 * MIB
            # The kernel's own refusal, where the look beforehand was overtaken.
            error = OSError(28, "No space left on device")
            assert "file system of" in str(named._allocation_error(error, MIB))
            named.close()
        finally:
            libc.umount(point)

    def test_punched_memory_goes_back_and_reads_as_zeros(self, file: SharedFile) -> None:
        file.allocate(0, MIB)
        address = file.map(0, MIB)
        ctypes.memset(address, 1, MIB)
        file.punch(PAGE, PAGE)
        assert file.allocated_bytes() == MIB - PAGE
        assert ctypes.string_at(address + PAGE - 1, PAGE + 2) == b"\1" + b"\0" * PAGE + b"\1"
        file.unmap(address, MIB)

    def test_punch_under_mlockall(self, file: SharedFile) -> None:
        libc = ctypes.CDLL(None, use_errno=True)

        def locked(talk: Talk) -> None:
            file.allocate(0, MIB)
            if libc.mlockall(2) != 0:  # MCL_FUTURE
                talk.say("not permitted")
                return
            file.punch(0, PAGE)
            talk.say(file.allocated_bytes())

        with child(locked) as started:
            heard = started.hear()
        if heard == "not permitted":
            pytest.skip("mlockall is not permitted")
        assert heard == MIB - PAGE
