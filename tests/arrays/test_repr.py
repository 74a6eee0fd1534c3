"""What objects show of themselves, and views as sequences of bytes."""

import pytest

import scamem
from scamem import Arena


def test_reprs(arena: Arena) -> None:
    obj = arena.alloc("1M")
    pin, view = obj.pin(), obj.map()
    assert repr(pin) == f"<Pin of 256 frames from frame 0 of object {obj.index}>"
    assert repr(view).startswith("<View of 1,048,576 bytes at 0x")
    assert repr(view).endswith(", writable>")
    assert repr(obj.map(writable=False)).endswith(", read-only>")
    pin.close()
    assert repr(pin) == "<Pin, closed>"
    assert "objects: 1\n" in str(arena.stats())


def test_a_view_is_a_sequence_of_bytes(arena: Arena) -> None:
    view = arena.alloc("8K").map()
    assert len(view) == 8192
    view[0], view[1:3] = 7, b"ab"
    assert view[0] == 7
    assert bytes(view[:4]) == b"\x07ab\0"
    with pytest.raises(IndexError):
        view[8192]
    with pytest.raises(TypeError, match="read-only"):
        arena.alloc("8K").map(writable=False)[0] = 1


def test_an_arena_is_not_called() -> None:
    with pytest.raises(TypeError, match=r"Arena\.open\(name\)"):
        scamem.Arena("sensors")
