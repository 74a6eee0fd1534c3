"""What stands for an argument that was not given, where None is a value."""

from typing import Final


class Missing:
    """The type of `MISSING`, which means: no default was given."""

    def __repr__(self) -> str:
        return "<no default>"


MISSING: Final = Missing()
