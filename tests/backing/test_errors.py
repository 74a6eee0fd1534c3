"""Exceptions cross process pools with their message and numbers, and are what callers catch."""

from __future__ import annotations

import inspect
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from scamem import errors

KINDS = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, errors.ScamemError)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_pickle_keeps_message_and_attributes(kind: type[errors.ScamemError]) -> None:
    numbers = {
        name: 7
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    error = kind("asked, there was, to do", **numbers)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error) == "asked, there was, to do"
    assert vars(again) == vars(error) == numbers


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.OutOfMemoryError, MemoryError),
        (errors.ArenaNotFoundError, FileNotFoundError),
        (errors.ArenaExistsError, FileExistsError),
        (errors.LockTimeoutError, TimeoutError),
        (errors.NameNotFoundError, KeyError),
        (errors.ClosedError, ValueError),
        (errors.PlatformError, ImportError),
    ],
)
def test_caught_as_the_builtin(kind: type[errors.ScamemError], builtin: type[Exception]) -> None:
    with pytest.raises(builtin):
        raise kind("message")


def fail() -> None:
    raise errors.OutOfMemoryError("no", asked_bytes=5, free_bytes=3, limit="RLIMIT_AS")


def test_crosses_a_process_pool() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        error = pool.submit(fail).exception()
    assert isinstance(error, errors.OutOfMemoryError)
    assert (error.asked_bytes, error.free_bytes, error.limit) == (5, 3, "RLIMIT_AS")
