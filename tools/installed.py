"""Check an installed library: it needs NumPy only, is compiled, and brings types and headers."""

from __future__ import annotations

import importlib.util
import sys
from importlib import metadata
from pathlib import Path

KEPT = {"numpy", "pip", "scamem", "setuptools"}  # the last two come with an environment


def main() -> None:
    """Say what is wrong, if anything."""
    installed = {found.name.lower() for found in metadata.distributions()}
    wrong = [f"{name} is installed too" for name in sorted(installed - KEPT)]
    spec = importlib.util.find_spec("scamem")
    package = Path(str(spec and spec.origin)).parent
    wrong += [
        f"{name} is missing"
        for name in ("py.typed", "objects/scamem.pyi", "objects/scamem.pxd", "core/store/words.h")
        if not (package / name).is_file()
    ]
    objects = importlib.util.find_spec("scamem.objects.scamem")
    if objects is None or not str(objects.origin).endswith(".so"):
        wrong.append("scamem.objects.scamem is not compiled")
    if "site-packages" not in package.parts:
        wrong.append(f"this is {package}, which is not an installation")
    print("\n".join(wrong) or f"{package}: as it should be, with NumPy only")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
