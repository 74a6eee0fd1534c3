"""Compile `core_loop.pyx` against the installed headers, into build/benchmarks."""

from __future__ import annotations

import functools
import importlib.util
import sysconfig
from pathlib import Path
from typing import Any

import scamem

BUILD = Path("build", "benchmarks")
SOURCE = Path(__file__).with_name("core_loop.pyx")


@functools.cache
def core_loop() -> Any:
    """Return the compiled module, compiled anew if its source or a header is newer.

    Raises
    ------
    ImportError : Cython, setuptools or a C compiler is missing; says which.
    """
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    package = Path(scamem.__file__).parent
    headers = [*package.rglob("*.pxd"), *package.rglob("*.h")]
    target = BUILD / f"core_loop{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not _is_fresh(target, [SOURCE, *headers]):
        extension = Extension(
            "core_loop",
            [str(SOURCE)],
            include_dirs=[str(package.parent), *sorted({str(path.parent) for path in headers})],
            extra_compile_args=["-O2", "-fwrapv", "-fno-strict-aliasing"],
        )
        made = cythonize(  # type: ignore[no-untyped-call]  # carries no types
            [extension],
            build_dir=str(BUILD),
            include_path=[str(package.parent)],
            quiet=True,
            force=True,
        )
        command = Distribution({"ext_modules": made}).get_command_obj("build_ext")
        command.build_lib = str(BUILD)
        command.build_temp = str(BUILD / "objects")
        command.force = True
        command.ensure_finalized()
        command.run()
    found = importlib.util.spec_from_file_location("core_loop", target)
    if found is None or found.loader is None:
        raise ImportError(f"{target} cannot be loaded")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def _is_fresh(target: Path, sources: list[Path]) -> bool:
    if not target.exists():
        return False
    made = target.stat().st_mtime
    return all(source.stat().st_mtime < made for source in sources)
