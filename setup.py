"""Compiles every module that has a header (`x.pxd` beside `x.py`); all else is in pyproject.toml.

Two variables of the environment, for developers:

SCAMEM_STOP_HOOK=1   compile the hook by which tests stop a process at a chosen store; `make test`
                     does so in a build directory of its own, and no installed library ever has it
SCAMEM_WERROR=1      warnings of Cython and of the C compiler are errors
"""

import os
import re
import runpy
import shlex
import shutil
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = Path("src")
GENERATED = Path("build/cython")
PACKAGE = SOURCES / "scamem"
LAYOUT = PACKAGE / "core" / "store" / "layout.py"
PLACES = PACKAGE / "core" / "sync" / "places.py"
STRICT = os.environ.get("SCAMEM_WERROR") == "1"
COPIED = (".h", ".pxd", ".py", ".pyi")  # beside compiled modules, in a build directory
DESCRIBING = {"dist_info", "egg_info", "sdist"}  # commands that compile nothing
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)]+)\)")
JOBS = min(2, os.cpu_count() or 1)

DEPENDENCIES = runpy.run_path("tools/dependencies.py", run_name="setup")
HEADERS = runpy.run_path("tools/generate_headers.py", run_name="setup")
# Plain Python that mypy and the tests read; compiled modules see only their headers.
HEADER_ONLY = {
    LAYOUT,
    PLACES,
    PACKAGE / "core" / "store" / "words.py",
    *HEADERS["sources"](PACKAGE),
}

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "cdivision": True,
    "embedsignature": True,
    # An interpreter without the GIL turns it on when it imports us: our objects count on it.
    "freethreading_compatible": False,
    "initializedcheck": False,
    "wraparound": False,
}
Options.warning_errors = STRICT  # here, since cythonize's own processes import this file as well


def missing_tools() -> str:
    """Return what a build needs and does not find, and how to get it; "" if all is there."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    compiler = shlex.split(command)[0]
    if not shutil.which(compiler):
        found = f"there is no C compiler: {compiler!r} is not on PATH"
    elif not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        found = f"Python's headers are not installed: no {sysconfig.get_path('include')}/Python.h"
    else:
        return ""
    return (
        f"scamem is compiled when it is installed from source, and {found}.\n"
        "  Debian, Ubuntu:  apt install gcc python3-dev\n"
        "  Fedora, RHEL:    dnf install gcc python3-devel\n"
        "  other:           set CC to a C compiler. Then install again."
    )


def readme() -> str:
    """Return the README for a package index, where links to files beside it lead nowhere."""
    return LINK.sub(r"\1 (`\2`)", Path("README.md").read_text())


def compiled_sources() -> list[Path]:
    """Return every module to be compiled, as paths from here."""
    return [
        source
        for source in sorted(PACKAGE.rglob("*.py"))
        if source.name != "__init__.py"
        and source not in HEADER_ONLY
        and source.with_suffix(".pxd").exists()
    ]


def extension(source: Path, made: Path) -> Extension:
    """Describe one module to the compiler: its name is the source's, it is made from `made`.

    It depends on nothing else: generated C is new whenever anything that it is made from is.
    """
    macros: list[tuple[str, str | None]] = [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")]
    stops = os.environ.get("SCAMEM_STOP_HOOK") == "1"
    if stops:
        macros.append(("SCAMEM_STOP_HOOK", "1"))
    folders = sorted({header.parent for header in PACKAGE.rglob("*.h")})
    return Extension(
        ".".join(source.relative_to(SOURCES).with_suffix("").parts),
        [str(made)],
        include_dirs=[str(SOURCES), *map(str, folders), np.get_include()],
        define_macros=macros,
        # Stores go through words of shared memory that others read as bytes: no strict aliasing;
        # counters wrap as the interpreted core's checks expect. Debug information is three
        # quarters of a module, and describes generated C.
        extra_compile_args=[
            "-O1" if stops else "-O2",  # the tests' build is made in a third less time
            *("-fwrapv", "-fno-strict-aliasing", "-g0"),
            *(["-Wall", "-Werror"] if STRICT else []),
        ],
    )


def generate(sources: list[Path]) -> None:
    """Make the C of each module that is made from anything that changed."""
    tree, fingerprint = DEPENDENCIES["Tree"](SOURCES), DEPENDENCIES["fingerprint"]
    versions = (f"Cython {version('Cython')}", f"numpy {np.__version__}")
    outdated = {}
    for source in sources:
        files = tree.made_from(source)
        headers = [file for file in files if file.suffix == ".h"]
        made = DEPENDENCIES["Generated"](
            GENERATED / source.with_suffix(".c"),
            made_from=fingerprint([Path("setup.py"), *files], *versions),
            beside=fingerprint([Path("setup.py"), *headers], *versions),
            strict=STRICT,
        )
        if not made.is_fresh():
            made.set_aside()
            outdated[source] = made
    if outdated:
        cythonize(  # type: ignore[no-untyped-call]  # carries no types
            [extension(source, source) for source in outdated],
            build_dir=str(GENERATED),
            compiler_directives=DIRECTIVES,
            include_path=[str(SOURCES)],
            nthreads=JOBS,
            quiet=True,
        )
    for made in outdated.values():
        made.settle()


class BuildExt(build_ext):
    """Compiles, and removes what an earlier build made of a source that is there no more.

    A module that became a package, or the other way round, would be found under its old form.
    """

    def run(self) -> None:
        """Run the command."""
        super().run()
        names = {module.name for module in self.extensions}
        for root in {Path(self.build_lib), SOURCES if self.inplace else Path(self.build_lib)}:
            for path in (root / PACKAGE.name).rglob("*.*"):
                inside = path.relative_to(root)
                if path.suffix == ".so":
                    name = ".".join([*inside.parent.parts, path.name.partition(".")[0]])
                    outdated = name not in names
                else:
                    outdated = path.suffix in COPIED and not (SOURCES / inside).exists()
                if outdated:
                    path.unlink()


def extensions() -> list[Extension]:
    """Generate headers, then C, and describe the modules."""
    write_header = runpy.run_path("tools/generate_layout.py", run_name="setup")["write_header"]
    write_header(LAYOUT)
    write_header(PLACES)
    HEADERS["write_headers"](PACKAGE)
    sources = compiled_sources()
    generate(sources)
    return [extension(source, GENERATED / source.with_suffix(".c")) for source in sources]


if __name__ == "__main__":  # cythonize's own processes import this file as well
    compiles = not DESCRIBING & set(sys.argv)
    if compiles and (missing := missing_tools()):
        sys.exit(missing)
    setup(
        ext_modules=extensions() if compiles else [],
        cmdclass={"build_ext": BuildExt},
        options={"build_ext": {"parallel": str(JOBS)}},
        long_description=readme(),
        long_description_content_type="text/markdown",
    )
