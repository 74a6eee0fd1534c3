"""Random programs on arrays of an arena do what the same programs do on NumPy's."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

import scamem
from tests.backing.children import in_child

DTYPES = st.sampled_from(["u1", "<i4", ">i4", "f8", "c8", "S3", "<U2", "M8[s]"])
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)
Pair = tuple[Any, Any]  # ours and NumPy's


class Arrays(RuleBasedStateMachine):
    """Each array is kept twice: on frames, and private; views of one are views of the other."""

    pairs = Bundle("pairs")

    def __init__(self) -> None:
        super().__init__()
        self.arena = scamem.Arena.create(capacity=16 << 20)
        self.kept: list[Pair] = []

    def keep(self, ours: Any, theirs: Any) -> Pair:
        self.kept.append((ours, theirs))
        return ours, theirs

    @initialize(target=pairs)
    def first(self) -> Pair:
        return self.keep(self.arena.array(np.arange(24).reshape(4, 6)), np.arange(24).reshape(4, 6))

    @rule(target=pairs, shape=SHAPES, dtype=DTYPES, order=st.sampled_from("CF"))
    def zeros(self, shape: tuple[int, ...], dtype: str, order: Any) -> Pair:
        return self.keep(self.arena.zeros(shape, dtype, order), np.zeros(shape, dtype, order))

    @rule(target=pairs, pair=pairs)
    def copy_into_the_arena(self, pair: Pair) -> Pair:
        return self.keep(self.arena.array(pair[0]), np.array(pair[1]))

    @rule(target=pairs, pair=pairs, data=st.data())
    def view(self, pair: Pair, data: st.DataObject) -> Pair:
        index = data.draw(hnp.basic_indices(pair[1].shape, allow_newaxis=True, max_dims=6))
        ours, theirs = pair[0][index], pair[1][index]
        if not isinstance(theirs, np.ndarray):  # one number
            assert repr(ours) == repr(theirs)
            return pair
        return self.keep(ours, theirs)

    @rule(target=pairs, pair=pairs)
    def transposed(self, pair: Pair) -> Pair:
        return self.keep(pair[0].T, pair[1].T)

    @rule(target=pairs, pair=pairs)
    def by_handle(self, pair: Pair) -> Pair:
        return self.keep(scamem.from_handle(bytes(scamem.handle(pair[0]))), pair[1])

    @rule(target=pairs, pair=pairs)
    def pickled_by_handle(self, pair: Pair) -> Pair:
        with scamem.by_handle():
            data = pickle.dumps(pair[0])
        return self.keep(pickle.loads(data), pair[1])

    @rule(pair=pairs)
    def pickled_by_value(self, pair: Pair) -> None:
        # With NumPy's own round trip: it loads a big-endian array of no dimensions as a native one.
        found, theirs = (pickle.loads(pickle.dumps(array)) for array in pair)
        assert found.dtype == theirs.dtype
        assert found.tobytes() == theirs.tobytes()
        assert not np.shares_memory(found, pair[0])

    @rule(target=pairs, pair=pairs, name=st.sampled_from("abc"))
    def published(self, pair: Pair, name: str) -> Pair:
        self.arena[name] = pair[0]
        return self.keep(self.arena[name], pair[1])

    @rule(pair=pairs, data=st.data())
    def write(self, pair: Pair, data: st.DataObject) -> None:
        value = data.draw(hnp.arrays(pair[1].dtype, ()))
        pair[0][...] = value
        pair[1][...] = value

    @rule(pair=pairs, fill=st.integers(0, 1))
    def written_by_another_process(self, pair: Pair, fill: int) -> None:
        data = bytes(scamem.handle(pair[0]))

        def body() -> None:
            scamem.from_handle(data)[...] = np.array(fill).astype(pair[1].dtype)

        in_child(body)
        pair[1][...] = np.array(fill).astype(pair[1].dtype)

    @rule(keep_last=st.integers(0, 5))
    def forget(self, keep_last: int) -> None:
        """The bundle keeps its own; what is checked each time gets less."""
        self.kept = self.kept[-keep_last:] if keep_last else []

    @invariant()
    def same(self) -> None:
        for ours, theirs in self.kept:
            assert ours.dtype == theirs.dtype
            assert ours.shape == theirs.shape
            assert ours.tobytes() == theirs.tobytes()

    def teardown(self) -> None:
        assert self.arena.stats().loans == 0
        self.arena.close()


TestArrays = Arrays.TestCase
TestArrays.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
