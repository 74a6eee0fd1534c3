"""Each road to the default arena, in processes of their own."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

import scamem
from tests.backing.children import child, in_child, run_script
from tests.handles import workers


def default_id() -> int:
    return scamem.default().arena_id


def test_one_is_made_and_kept() -> None:
    assert scamem.default() is scamem.default()
    assert scamem.default().path == ""
    assert scamem.zeros(3).base is not None
    assert scamem.default() == scamem.default()


def test_the_environment_names_another(place: Path) -> None:
    out = run_script(
        """
        import os, scamem
        os.environ["SCAMEM_ARENA"] = "work"
        scamem.default()["x"] = scamem.array([1, 2, 3])
        print(scamem.default().path)
        """
    )
    assert out == f"{place}/work\n"
    assert scamem.Arena.join("work")["x"].tolist() == [1, 2, 3]
    scamem.Arena.join("work").close()


def test_closing_it_makes_room_for_another() -> None:
    out = run_script(
        """
        import scamem
        first = scamem.default()
        first.close()
        print(scamem.default() is first, scamem.default().closed)
        """
    )
    assert out == "False False\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_has_its_parents(method: str) -> None:
    mine = default_id()
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(workers.default_arena)[0] == mine
    pool.join()


def test_a_grandchild_has_its_grandparents() -> None:
    mine = default_id()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:  # whose workers may have children
        assert pool.submit(workers.default_of_a_child, "spawn").result() == mine


def test_a_plain_fork_has_its_parents() -> None:
    mine = default_id()
    assert in_child(default_id) == mine


def test_an_arena_that_was_sent_here_is_the_default() -> None:
    """A child whose parent has no default: the first that a handle brought; not one it created."""
    arena = scamem.Arena.create(capacity=8 << 20)
    made = arena.array([1, 2, 3])
    with arena:
        out = run_script(
            f"""
            import scamem
            mine = scamem.Arena.create(capacity=8 << 20)
            x = scamem.from_handle({bytes(scamem.handle(made))!r})
            print(scamem.default() is mine, scamem.default().arena_id == {arena.arena_id})
            del x
            """
        )
    assert out == "False True\n"


def test_an_arena_that_was_created_here_is_not() -> None:
    out = run_script(
        """
        import scamem
        mine = scamem.Arena.create(capacity=8 << 20)
        print(scamem.default() is mine, scamem.zeros(10_000_000).shape)
        """
    )
    assert out == "False (10000000,)\n"


def test_a_default_made_while_others_wait() -> None:
    out = run_script(
        """
        import threading, scamem
        found = set()
        threads = [threading.Thread(target=lambda: found.add(scamem.default())) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len(found))
        """
    )
    assert out == "1\n"


def test_a_child_of_a_killed_parent_goes_on() -> None:
    with child(workers.answering(default_id)) as other:
        assert other.hear() == default_id()
        other.kill()
    assert scamem.zeros(3).tolist() == [0, 0, 0]
