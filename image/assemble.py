"""What the Dockerfile runs within its stages: `python3 -m image.assemble base FOLDER`, and later `… agent FOLDER`.

It copies what the image holds of what is installed there. Standard library alone. The programs that `contents` names come with the
libraries that they load; each package that a file is from leaves its entry, for scanners, and its licence.
"""

from __future__ import annotations

import compileall
import fnmatch
import os
import py_compile
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from image import contents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ELF: Final = b"\x7fELF"
_LIBRARY: Final = re.compile(r"(?:=>|^)\s*(/\S+) \(0x", re.MULTILINE)
_MISSING: Final = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)
_UNUSED: Final = re.compile("|".join(f"(?:.*/{fnmatch.translate(each)})" for each in contents.UNUSED))
_STATUS: Final = "var/lib/dpkg/status"


class AssemblyError(RuntimeError):
    """The image would not run, or scanners would not know what is in it; the text says what is missing."""


def unused(path: str) -> bool:
    """Whether the image does without the file at this absolute path."""
    return "/__pycache__/" in path or _UNUSED.match(path) is not None


def base(root: Path) -> None:
    """The distribution and the locked packages, as folders `distribution` and `packages` of `root`. Raises AssemblyError."""
    distribution, packages = root / "distribution", root / "packages"
    for folder in contents.EMPTY:
        distribution.joinpath(folder[1:]).mkdir(parents=True)
    installed = [path for path in _files(contents.PACKAGES) if not unused(path)]
    taken = [*contents.PROGRAMS, *contents.FILES]
    taken += [path for folder in contents.FOLDERS for path in _files(folder) if not unused(path)]
    libraries = {*_libraries(filter(_is_elf, (*taken, *installed))), *map(_found, contents.LOADED)}
    taken += sorted(path for path in libraries if not path.startswith(contents.PACKAGES))
    for path in taken:
        _copy(path, distribution)
    for path, target in contents.LINKS.items():
        _link(distribution / path[1:], target)
    for path, text in contents.TEXTS.items():
        _write(distribution / path[1:], text)
    _describe(taken, distribution)
    for path in installed:
        _copy(path, packages)
    for folder in (distribution, packages):
        _compile(folder)


def agent(root: Path) -> None:
    """The agent alone, as its wheel was installed beside the packages."""
    site = next(Path(contents.PACKAGES).glob("lib/python3*/site-packages"))
    record = next(site.glob("signet-*.dist-info")) / "RECORD"
    for line in record.read_text().splitlines():
        path = os.path.normpath(site / line.rsplit(",", 2)[0])
        if not unused(path):
            _copy(path, root)
    _compile(root)


def _files(folder: str) -> Iterator[str]:
    """Every file below it and every link, in a fixed order."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from sorted(f"{place}/{name}" for name in names)
        yield from (f"{place}/{name}" for name in folders if Path(place, name).is_symlink())


def _is_elf(path: str) -> bool:
    if not Path(path).is_file():
        return False
    with Path(path).open("rb") as file:
        return file.read(len(_ELF)) == _ELF


def _libraries(paths: Iterable[str]) -> Iterator[str]:
    """Paths of what ld.so loads for these, the loader among them. Raises AssemblyError."""
    for path in paths:
        said = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        if missing := _MISSING.findall(said):
            raise AssemblyError(f"{path} needs {', '.join(missing)}, which nothing that is installed has")
        yield from _LIBRARY.findall(said)


def _found(name: str) -> str:
    """Where ld.so finds a library. Raises AssemblyError."""
    said = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    for line in said.splitlines():
        if line.split()[:1] == [name]:
            return line.rpartition(" => ")[2]
    raise AssemblyError(f"{name} is not installed")


def merged(path: str) -> str:
    """The path within the merged /usr of one that begins with a link to it."""
    first = f"/{path.split('/', 2)[1]}"
    return f"/usr{path}" if contents.LINKS.get(first) == f"usr{first}" else path


def _copy(path: str, root: Path) -> None:
    """A file, or a link together with the file of the distribution that it leads to."""
    source, target = Path(merged(path)), root / merged(path)[1:]
    if source.is_symlink():
        _link(target, str(source.readlink()))
        real = os.path.realpath(source)
        if Path(real).is_file() and not path.startswith(contents.PACKAGES):
            _copy(real, root)
    elif not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_symlink():
        path.symlink_to(target)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o644)


def _describe(taken: list[str], root: Path) -> None:
    """Dpkg's entries of the packages that files were taken from, and their licences. Raises AssemblyError."""
    files = sorted({os.path.realpath(path) for path in taken} - {contents.AUTHORITIES})
    owned = subprocess.run(["dpkg-query", "-S", *files], capture_output=True, text=True, check=False)
    if owned.returncode != 0:
        raise AssemblyError(f"of no package: {owned.stderr.strip()}")
    names = sorted({name for line in owned.stdout.splitlines() for name in line.rpartition(": ")[0].split(", ")})
    names.append("ca-certificates")
    entries: list[str] = []
    for name in names:
        shown = ["dpkg-query", "-W", "-f", "${Package}\t${Architecture}", name]
        package = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.split("\t")[0]
        entries.append(subprocess.run(["dpkg-query", "-s", name], capture_output=True, text=True, check=True).stdout)
        licence = Path("/usr/share/doc", package, "copyright").resolve()
        _write(root / "usr/share/doc" / package / "copyright", licence.read_text("utf-8", "surrogateescape"))
    _write(root / _STATUS, "\n".join(entries))


def _compile(root: Path) -> None:
    """Modules are compiled once and taken as they are: the root is read-only, and no clock is in them. Raises AssemblyError."""
    done = compileall.compile_dir(
        root,
        maxlevels=30,
        quiet=1,
        stripdir=str(root),
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not done:
        raise AssemblyError("a module does not compile")


if __name__ == "__main__":
    {"base": base, "agent": agent}[sys.argv[1]](Path(sys.argv[2]))
