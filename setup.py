"""Compiles every module that has a header (`x.pxd` beside `x.py`); all else is in pyproject.toml.

Set SCAMEM_STOP_HOOK=1 to compile the hook by which tests stop a process at a chosen store; `make
test` does so in a build directory of its own, and no installed library ever has it.
"""

import os
import runpy
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup

SOURCES = Path("src")
GENERATED = Path("build/cython")
PACKAGE = SOURCES / "scamem"
LAYOUT = PACKAGE / "core" / "store" / "layout.py"

HEADERS = runpy.run_path("tools/generate_headers.py", run_name="setup")
# Plain Python that mypy and the tests read; compiled modules see only their headers.
HEADER_ONLY = {LAYOUT, PACKAGE / "core" / "store" / "words.py", *HEADERS["sources"](PACKAGE)}

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "cdivision": True,
    "embedsignature": True,
    "freethreading_compatible": True,
    "initializedcheck": False,
    "wraparound": False,
}


def compiled_sources() -> list[Path]:
    """Return every module to be compiled, as paths from here."""
    return [
        source
        for source in sorted(PACKAGE.rglob("*.py"))
        if source.name != "__init__.py"
        and source not in HEADER_ONLY
        and source.with_suffix(".pxd").exists()
    ]


def extension(source: Path, headers: list[Path]) -> Extension:
    """Describe one module to the compiler."""
    macros: list[tuple[str, str | None]] = [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")]
    if os.environ.get("SCAMEM_STOP_HOOK") == "1":
        macros.append(("SCAMEM_STOP_HOOK", "1"))
    folders = sorted({header.parent for header in headers})
    return Extension(
        ".".join(source.relative_to(SOURCES).with_suffix("").parts),
        [str(source)],
        include_dirs=[str(SOURCES), *map(str, folders), np.get_include()],
        define_macros=macros,
        # Stores go through words of shared memory that others read as bytes: no strict aliasing;
        # counters wrap as the interpreted core's checks expect.
        extra_compile_args=["-O2", "-fwrapv", "-fno-strict-aliasing"],
        depends=["setup.py", *map(str, headers)],
    )


def forget_outdated(sources: list[Path]) -> None:
    """Remove generated C that is older than any header: constants and layouts are copied into it.

    Cython follows what a module imports in its header, not what it imports in pure Python mode.
    """
    newest = max(header.stat().st_mtime for header in PACKAGE.rglob("*.pxd"))
    for source in sources:
        made = GENERATED / source.with_suffix(".c")
        if made.exists() and made.stat().st_mtime <= newest:
            made.unlink()


def extensions() -> list[Extension]:
    """Generate headers, then C for each module whose sources changed."""
    runpy.run_path("tools/generate_layout.py", run_name="setup")["write_header"](LAYOUT)
    HEADERS["write_headers"](PACKAGE)
    headers = sorted(PACKAGE.rglob("*.h"))
    sources = compiled_sources()
    forget_outdated(sources)
    modules: list[Extension] = cythonize(  # type: ignore[no-untyped-call]  # carries no types
        [extension(source, headers) for source in sources],
        build_dir=str(GENERATED),
        compiler_directives=DIRECTIVES,
        include_path=[str(SOURCES)],
        nthreads=min(2, os.cpu_count() or 1),
        quiet=True,
    )
    return modules


if __name__ == "__main__":  # cythonize's own processes import this file as well
    setup(
        ext_modules=extensions(),
        options={"build_ext": {"parallel": str(min(2, os.cpu_count() or 1))}},
    )
