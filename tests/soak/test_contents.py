"""The soak's own eyes: what is spoiled is seen, and what never happened is named."""

import numpy as np
import pytest

from tests.soak.contents import HEAD_WORDS, SpoiledError, fill, verify
from tests.soak.report import NEVER_ZERO, NEVER_ZERO_IN_THE_LONG_FORM, Report


@pytest.mark.parametrize("length", [HEAD_WORDS, 8, 5000])
def test_any_spoiled_word_is_seen(length: int) -> None:
    words = np.empty(length, dtype=np.uint64)
    fill(words, 7)
    assert verify(words, "whole") == words.nbytes
    for at in {0, 1, 2, length // 2, length - 1}:
        words[at] ^= np.uint64(1 << 63)
        with pytest.raises(SpoiledError, match="spoiled"):
            verify(words, "spoiled")
        words[at] ^= np.uint64(1 << 63)


def test_contents_of_two_seeds_differ() -> None:
    first, second = np.empty((2, 100), dtype=np.uint64)
    fill(first, 1)
    fill(second, 2)
    first[HEAD_WORDS:] = second[HEAD_WORDS:]
    with pytest.raises(SpoiledError):
        verify(first, "another object's frames")


@pytest.mark.parametrize("kind", [*NEVER_ZERO, *NEVER_ZERO_IN_THE_LONG_FORM])
def test_what_never_happened_is_named(kind: str) -> None:
    counts = dict.fromkeys([*NEVER_ZERO, *NEVER_ZERO_IN_THE_LONG_FORM], 1)
    assert Report(1, counts, []).missing(3600) == []
    assert Report(1, {**counts, kind: 0}, []).missing(3600) == [kind]
    expected = [kind] if kind in NEVER_ZERO else []
    assert Report(1, {**counts, kind: 0}, []).missing(10) == expected
