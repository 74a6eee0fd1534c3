"""The reference model after a death within an operation, as far as the arena can choose.

An operation was done, or not begun, or stopped between two of its transactions. What one member
alone can leave half done (an allocation, a fork, its own counts) is read from the arena, and judged
by the model's rules.
"""

from __future__ import annotations

from tests.explore.arena import Violation
from tests.explore.facts import Facts, differences
from tests.explore.operations import Pair
from tests.model.reference import IO, Reference


def agree(pair: Pair, found: Facts) -> None:
    """Check that the model agrees with the arena's words."""
    wrong = differences(pair.model, found, pair.model.dead)
    if wrong:
        raise Violation("model: " + "; ".join(wrong))


def outcome(pair: Pair, done: Pair, after: Pair, found: Facts, slot: int) -> Reference:
    """Return the model's state that the arena shows: before, after, between, or half allocated."""
    slots = {m.slot for m in after.world.members}
    children = slots - {m.slot for m in pair.world.members}
    starts = [pair.model, *done.between, done.model]
    if done.half is not None:
        starts.insert(1, done.half(pair.model.copy(), found))
    # Of two that the words agree with, the one that asks more of what comes: memory where it may
    # have to be given back (wrong_memory), none where it must not be used.
    starts.sort(key=lambda start: (-len(start.perhaps), len(start.memory)))
    nearest: list[str] | None = None
    for start in starts:
        model = start.copy()
        for child in children:
            half_forked(model, found, slot, child)
        half_allocated(model, found, slot)
        half_counted(model, found, slot)
        model.die(slot)
        wrong = differences(model, found, model.dead)
        if not wrong:
            # Slots that the dead member had reaped are free: nothing of them is left.
            gone = model.dead - slots
            model.members -= gone
            model.dead -= gone
            return model
        if nearest is None or len(wrong) < len(nearest):
            nearest = wrong
    raise Violation("model: neither before nor after: " + "; ".join(nearest or ()))


def half_counted(model: Reference, found: Facts, slot: int) -> None:
    """A member that dies letting go may have uncounted its I/O, but still hold the object."""
    for key, obj in model.objects.items():
        if slot in obj.held and key in found.objects:
            seen = found.objects[key].held.get(slot, {}).get(IO, 0)
            obj.held[slot][IO] = min(seen, obj.held[slot].get(IO, 0))


def half_allocated(model: Reference, found: Facts, slot: int) -> None:
    """A new object that the dead member had not finished, made of frames that were free."""
    for key, obj in found.objects.items():
        if key not in model.objects and not obj.live and obj.held.keys() == {slot}:
            if found.wanted[key] <= model.unpromised() and model.free().issuperset(obj.frames):
                model.allocate(slot, key, obj.frames, live=False, promised=obj.promised)


def half_forked(model: Reference, found: Facts, slot: int, child: int) -> None:
    """The child has some of its parent's records; it dies with its parent."""
    model.members |= {child}
    model.dead |= {child}
    for key, obj in model.objects.items():
        seen = found.objects.get(key)
        obj.held.pop(child, None)
        if seen and child in seen.held and slot in obj.held:
            obj.held[child] = dict(obj.held[slot])
