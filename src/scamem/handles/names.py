"""Names as the arena has them: UTF-8, without surrogates, of a bounded length."""

from __future__ import annotations

from scamem.errors import ArenaDamagedError

NAME_BYTES_MAX = 255


def decode_name(name: bytes) -> str:
    """Return a name that an area has; ArenaDamagedError if nobody can have published it."""
    try:
        text = name.decode()
        encode_name(text)
    except ValueError:
        raise ArenaDamagedError(
            f"the arena is damaged: an area has the name {name[:60]!r}, which cannot be published. "
            "`scamem check` says where; make a new arena"
        ) from None
    return text


def encode_name(name: str) -> bytes:
    if not isinstance(name, str):
        raise TypeError(f"names are strings, not {type(name).__name__}")
    encoded = name.encode()
    if not 0 < len(encoded) <= NAME_BYTES_MAX or "\0" in name:
        raise ValueError(
            f"asked for a name of {len(encoded)} bytes; a name has 1 to {NAME_BYTES_MAX} bytes of "
            "UTF-8 and no NUL"
        )
    return encoded
