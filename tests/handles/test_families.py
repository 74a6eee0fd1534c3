"""One arena below a main program; what goes by handle, and what by value since it would be lost."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
import textwrap
import types
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.handles import relatives
from tests.backing.children import child, in_child, run_script
from tests.handles import workers

pytestmark = pytest.mark.timeout(100)
METHODS = ("fork", "spawn", "forkserver")

# A program of its own: `main(context)` in a module that children can import.
PROGRAM = """
import multiprocessing
from tests.handles import strangers
{imports}

def main(context):
{body}

if __name__ == "__main__":
    main(multiprocessing.get_context({method!r}))
"""


def run_program(
    folder: Path, root: Path, method: str, body: str, *, imports: str, wanted_stderr: str = ""
) -> str:
    """What a program prints; on its stderr there is nothing, or what is wanted."""
    text = PROGRAM.format(
        imports=imports,
        body=textwrap.indent(textwrap.dedent(body), "    "),
        method=method,
    )
    path = folder / "program.py"
    path.write_text(text)
    ran = subprocess.run(
        [sys.executable, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
    )
    assert ran.returncode == 0, ran.stderr
    assert wanted_stderr in ran.stderr if wanted_stderr else ran.stderr == ""
    return ran.stdout


FILL = """
    queue = context.SimpleQueue()
    process = context.Process(target=strangers.fill_by_workers, args=(queue, {method!r}))
    process.start()
    print(queue.get())
    process.join()
"""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "imports", ["import scamem", "import scamem; scamem.default()", "import math"]
)
def test_a_childs_workers_write_to_its_arrays(
    tmp_path: Path, root: Path, method: str, imports: str
) -> None:
    """Whether the main program made a default arena, only imported scamem, or never heard of it."""
    out = run_program(tmp_path, root, method, FILL.format(method=method), imports=imports)
    assert out == "(4.0, 4.0)\n"


@pytest.mark.parametrize("method", METHODS)
def test_all_below_a_main_program_have_one_arena(tmp_path: Path, root: Path, method: str) -> None:
    """Two children that are started before anybody has made an array, and the main program."""
    out = run_program(
        tmp_path,
        root,
        method,
        """
        queue = context.SimpleQueue()
        processes = [context.Process(target=strangers.say_default, args=(queue,)) for _ in "12"]
        for process in processes:
            process.start()
        print(len({queue.get(), queue.get(), scamem.default().arena_id}))
        for process in processes:
            process.join()
        """,
        imports="import scamem",
    )
    assert out == "1\n"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_an_array_made_while_main_is_imported(tmp_path: Path, root: Path, method: str) -> None:
    """A child imports main before it knows its parent; its default arena is the parent's after."""
    out = run_program(
        tmp_path,
        root,
        method,
        """
        queue = context.SimpleQueue()
        process = context.Process(target=strangers.say_default, args=(queue,))
        process.start()
        print(queue.get() == scamem.default().arena_id, x.sum())
        process.join()
        """,
        imports="import scamem; x = scamem.full(3, 2.0)",
    )
    assert out == "True 6.0\n"


def test_an_array_that_its_sender_does_not_outlive(tmp_path: Path, root: Path) -> None:
    """Only the child knows the arena: the value arrives, and one warning names the way out."""
    out = run_program(
        tmp_path,
        root,
        "spawn",
        """
        queue = context.Queue()
        process = context.Process(target=strangers.send_and_exit, args=(queue, 1_000_000))
        process.start()
        found = queue.get()
        process.join()
        print(type(found).__name__, found.sum())
        """,
        imports="import numpy",
        wanted_stderr="SCAMEM_ARENA",
    )
    assert out == "ndarray 3000000.0\n"


def test_it_is_said_once(arena: scamem.Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scamem.handles.pickling._warned", False)
    large, small = arena.zeros(1 << 20, np.uint8), arena.zeros(100)
    dumps = multiprocessing.reduction.ForkingPickler.dumps
    dumps(small)
    with pytest.warns(scamem.NotSharedWarning, match="SCAMEM_ARENA"):
        dumps(large)
    dumps(large)  # a second warning would be an error here


SEND = """
import sys, scamem
from multiprocessing.connection import Client
with Client(sys.argv[1], authkey=b"k") as client:
    client.send(scamem.full(3, 7.0))
"""


def test_a_main_program_that_sends_and_ends(tmp_path: Path) -> None:
    address = str(tmp_path / "socket")
    with Listener(address, authkey=b"k") as listener:
        sender = subprocess.Popen([sys.executable, "-c", SEND, address])
        with listener.accept() as connection:
            assert sender.wait() == 0
            assert connection.recv().tolist() == [7, 7, 7]


@pytest.mark.parametrize("channel", ["queue", "pipe", "one way"])
def test_what_is_sent_before_its_reader_is_started(channel: str) -> None:
    """A main program alone in its arena: only its children can read what is in its pipes."""
    out = run_script(
        f"""
        import multiprocessing, sys
        sys.path.insert(0, ".")
        import scamem
        from tests.handles import workers

        context = multiprocessing.get_context("spawn")
        x = scamem.zeros(4)
        if {channel!r} == "queue":
            reader = writer = context.SimpleQueue()
            writer.put(x)
        else:
            reader, writer = context.Pipe(duplex={channel == "pipe"})
            writer.send(x)
        process = context.Process(target=workers.fill_received, args=(reader, 2.0))
        process.start()
        process.join()
        print(x.sum())
        """
    )
    assert out == "8.0\n"


def test_a_child_that_has_ended_is_none(arena: scamem.Arena) -> None:
    x = arena.zeros(3)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=workers.pid)
    process.start()
    assert relatives.is_sending_to_children()
    process.join()
    assert not relatives.is_sending_to_children()
    assert "by value to processes other than its children" in scamem.explain(x)


def test_by_handle_is_taken_at_its_word(arena: scamem.Arena) -> None:
    x = arena.zeros(100_000)
    with scamem.by_handle():
        data = bytes(multiprocessing.reduction.ForkingPickler.dumps(x))
    assert np.shares_memory(pickle.loads(data), x)
    assert len(multiprocessing.reduction.ForkingPickler.dumps(x[:5000])) > 5000


def test_whether_another_is_a_member_is_asked_without_reaping(arena: scamem.Arena) -> None:
    seat = arena._seat
    assert not seat.has_other_members()
    with child(workers.answering(lambda: None)) as first:
        first.hear()
        assert seat.has_other_members()
        with child(workers.answering(lambda: None)) as second:
            second.hear()
            first.kill()
            assert seat.has_other_members()  # the one that was found alive before is dead
            second.kill()
            assert not seat.has_other_members()
    assert arena.reap() == 2  # nobody had reaped them


def test_a_forked_child_asks_for_itself(arena: scamem.Arena) -> None:
    arena._seat.has_other_members()
    assert in_child(arena._seat.has_other_members) is True


def lambda_of(x: Any) -> Any:
    """A closure that only cloudpickle and dill can pickle."""

    def fill(i: int) -> None:
        x[i] = i

    return fill


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_joblib(backend: str) -> None:
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    x = scamem.zeros((4, 100_000))
    with joblib.parallel_config(backend=backend, n_jobs=2):
        joblib.Parallel()(joblib.delayed(workers.fill)(x[i], i) for i in range(4))
        assert x[:, 0].tolist() == [0, 1, 2, 3]
        y = scamem.zeros(4)
        if backend != "multiprocessing":  # which pickles no closures
            joblib.Parallel()(joblib.delayed(lambda_of(y))(i) for i in range(4))
            assert y.tolist() == [0, 1, 2, 3]
    if backend == "loky":
        joblib.externals.loky.get_reusable_executor().shutdown()


@pytest.mark.parametrize("method", METHODS)
def test_multiprocess(method: str) -> None:
    multiprocess = pytest.importorskip("multiprocess", reason="multiprocess is not installed")
    x = scamem.zeros(4)
    with multiprocess.get_context(method).Pool(2) as pool:
        pool.map(lambda_of(x), range(4))
        assert x.tolist() == [0, 1, 2, 3]
        assert type(pool.apply(workers.made_here, (10,))) is scamem.Array
        assert pool.apply(workers.default_arena)[0] == scamem.default().arena_id
    pool.join()


def test_cloudpickle() -> None:
    """Into a file by value, also of a closure; by handle inside what is sent to a process."""
    cloudpickle = pytest.importorskip("cloudpickle", reason="cloudpickle is not installed")
    x = scamem.zeros(100_000)
    assert len(cloudpickle.dumps(lambda_of(x))) > x.nbytes
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.map(workers.Clouded(lambda_of(x)), range(4))
    pool.join()
    assert x[:4].tolist() == [0, 1, 2, 3]


def test_a_library_that_another_thread_is_importing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its module is there, and empty: it is entered once it is whole."""
    monkeypatch.setitem(sys.modules, "multiprocess.reduction", types.ModuleType("reduction"))
    assert pickle.loads(pickle.dumps(scamem.ones(3))).sum() == 3
