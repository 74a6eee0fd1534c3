"""Keys: what is equal is one key in every process, and what differs lies in buckets of its own."""

from __future__ import annotations

import datetime as dt
import ipaddress
import itertools
import os
import subprocess
import sys
import zoneinfo
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.datasets.hashing import stable_hash
from tests.datasets.shapes import Rights

MANY = 100
NOON = dt.datetime(2026, 3, 1, 12)  # noqa: DTZ001 - gets zones
TWICE = dt.datetime(2026, 10, 25, 1, 30)  # noqa: DTZ001 - likewise
ROOT = Path(__file__).resolve().parent.parent.parent
KINDS: dict[str, Any] = {
    "IPv4Address": ipaddress.IPv4Address,
    "IPv6Address": lambda k: ipaddress.IPv6Address(k << 70),
    "IPv4Interface": lambda k: ipaddress.IPv4Interface((k, 24)),
    "IPv6Network": lambda k: ipaddress.IPv6Network((k << 64, 64)),
    "time": lambda k: dt.time(k // 60, k % 60, 0, k),
    "timezone": lambda k: dt.timezone(dt.timedelta(seconds=k)),
    "range": lambda k: range(k, 2 * k + 1),
    "datetime64": lambda k: np.datetime64(k, "ms"),
    "timedelta64": lambda k: np.timedelta64(k, "h"),
    "PureWindowsPath": lambda k: PureWindowsPath(f"C:/{k}"),
    "Flag": Rights,
}
if sys.version_info >= (3, 12):  # before, they have no hash
    KINDS["slice"] = lambda k: slice(k, None)


@pytest.mark.parametrize("kind", KINDS)
def test_keys_that_differ_are_spread(arena: scamem.Arena, kind: str) -> None:
    keys = [KINDS[kind](k) for k in range(MANY)]
    assert len({stable_hash(key) for key in keys}) == MANY
    frozen = arena.freeze({key: k for k, key in enumerate(keys)})
    assert [frozen[key] for key in keys] == list(range(MANY))
    assert KINDS[kind](MANY) not in frozen


def test_hashes_are_the_same_in_every_process() -> None:
    program = (
        "from tests.datasets.test_keys import *\n"
        "print([stable_hash(KINDS[kind](k)) for kind in KINDS for k in range(4)])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def moments() -> list[Any]:
    """Return times of every kind, many of which are equal."""
    found: list[Any] = []
    unit: Any
    for offset in (0, 0.5, -0.5, 3600, 5400.25):
        zone = dt.timezone(dt.timedelta(seconds=offset))
        for half, hour in itertools.product(range(-3, 3), (-1, 0, 1)):
            one = NOON + dt.timedelta(hours=hour, seconds=half / 2)
            found += [one.replace(tzinfo=zone), one.replace(tzinfo=zone).timetz()]
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    for hour, fold in itertools.product(range(-1, 3), (0, 1)):  # a clock shows 2:30 twice
        one = (TWICE + dt.timedelta(hours=hour)).replace(fold=fold)
        found += [one, one.replace(tzinfo=berlin), one.replace(tzinfo=dt.UTC), one.time()]
        found += [np.datetime64(one), np.datetime64(one, "h"), one.date(), np.datetime64(one, "D")]
    for number, unit in itertools.product((-7, 0, 1, 12, 24, 3600, 10**9), ("s", "h", "D", "M")):
        found += [np.timedelta64(number, unit), np.datetime64(number, unit)]
        found += [np.timedelta64(number, "ns"), np.datetime64(number, "Y")]
        if unit != "M":
            found += [np.timedelta64(number, unit).astype("m8[s]")]
    found += [dt.timedelta(seconds=number) for number in (-7, 0, 1, 3600)]
    return found


def others() -> list[Any]:
    """Return other keys, many of which are equal."""
    ranges = [range(0), range(2, 1), range(3, 4), range(3, 5, 7), range(10**30), range(0, 12, 3)]
    addresses = [
        make(text)
        for make in (ipaddress.ip_address, ipaddress.ip_interface, ipaddress.ip_network)
        for text in ("1.2.3.4", "::102:304", "1.2.0.0")
    ]
    paths = [PureWindowsPath(text) for text in ("C:/A", "c:\\a", "c:b")]
    return [*ranges, range(0, 11, 3), *addresses, *paths]


def test_equal_keys_have_equal_hashes() -> None:
    equal = 0
    for one, other in itertools.combinations([*moments(), *others()], 2):
        try:
            are_one = bool(hash(one) == hash(other) and one == other)
        except (TypeError, ValueError):  # of two that cannot be compared
            continue
        if are_one:
            equal += 1
            assert stable_hash(one) == stable_hash(other), (one, other)
    assert equal > 200


@dataclass(frozen=True)
class Base:
    x: int


@dataclass(frozen=True, eq=False)
class Tagged(Base):
    """Equal to another by `x` alone."""

    tag: str


class Plain(Base):
    """Compares as its base does."""


def test_fields_that_an_inherited_equality_ignores(arena: scamem.Arena) -> None:
    frozen = arena.freeze({Tagged(k, "old"): k for k in range(MANY)})
    assert [frozen[Tagged(k, "new")] for k in range(MANY)] == list(range(MANY))
    assert Tagged(MANY, "old") not in frozen
    assert len({stable_hash(Plain(k)) for k in range(MANY)}) == MANY
