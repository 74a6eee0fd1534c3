"""Runs of set bits in one word against strings of zeros and ones."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.explore.interpreted import Core

FULL = (1 << 64) - 1
# Words of few runs, long and short, beside those of random bits.
RUNS = st.lists(st.integers(1, 40), min_size=1, max_size=12).map(
    lambda lengths: int("".join(str(k % 2) * n for k, n in enumerate(lengths)), 2) & FULL
)
WORDS = st.one_of(RUNS, st.integers(0, FULL), st.sampled_from([0, 1, 1 << 63, FULL, FULL >> 1]))


@pytest.fixture(scope="module")
def core() -> Core:
    """The core's sources, interpreted."""
    return Core()


@given(bits=WORDS)
@example(bits=FULL - 1)
@example(bits=FULL ^ 1 << 31)
def test_longest(core: Core, bits: int) -> None:
    assert core.bits.leaf_longest(bits) == max(map(len, f"{bits:b}".split("0")))


@given(bits=WORDS, count=st.integers(1, 64))
def test_starts(core: Core, bits: int, count: int) -> None:
    run = (1 << count) - 1
    wanted = sum(1 << k for k in range(65 - count) if bits >> k & run == run)
    assert core.bits.leaf_starts(bits, count) == wanted


@given(bits=WORDS, size=st.integers(1, 64))
def test_at_the_end(core: Core, bits: int, size: int) -> None:
    text = f"{bits & (1 << size) - 1:0{size}b}"
    assert core.bits.bits_at_end(bits & (1 << size) - 1, size) == len(text) - len(text.lstrip("1"))
