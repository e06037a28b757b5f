"""Several files, folders and globs as one piece of work: which files are meant, each one's turn, and the report at the end.

In a folder, what hides (`.git`) and links are passed by, and by globs links to folders, devices and pipes; a file that is named is taken whatever it is, but
not written where a link leads out of the folder of `.sops.yaml`. Quoted globs know `*`, `?`, `[…]` and `**`. A failure ends the turn of its file only. The exit code is the first failure's, else 1 where `--check` found something to do.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from agent.cli import terminal
from agent.cli.errors import ConflictingFlagsError, FileMissingError, ReadError
from agent.cli.files import content
from agent.values import system
from agent.values.dataclass import dataclass
from agent.values.errors import AgentError
from agent.values.text import escape

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

LARGEST = 64 * 1024 * 1024
"""Bytes of a file that is looked at when it is found in a folder; a larger one has to be named."""

_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the flags of a command on files ask for. Those that it has not take their defaults."""

    files: Sequence[str]
    report: str
    dry_run: bool
    check: bool = False
    in_place: bool = True
    config: str | None = None
    output: str | None = None
    extract: str = ""
    filename_override: str | None = None

    @property
    def file(self) -> str | None:
        """The one plain file, or None for standard input, where no work on a tree is asked for."""
        return self.files[0] if self.files else None

    @property
    def looks(self) -> bool:
        """Whether nothing is written."""
        return self.dry_run or self.check


@dataclass(frozen=True, slots=True)
class Found:
    """A file whose turn it is. `named`: by the user or a glob; what is found in a folder has to look right first."""

    file: str
    named: bool


@dataclass(frozen=True, slots=True)
class Done:
    """What a file's turn came to: a past participle, and the new bytes, or None where the file stays as it is.

    `warnings` are errors that are not raised: what is hardly meant.
    """

    result: str
    data: bytes | None = None
    warnings: tuple[AgentError, ...] = ()


class Work(Protocol):
    """What is done with each file."""

    def __call__(self, found: Found, data: bytes) -> Done | None:
        """The file's new bytes, which the caller writes; None where the file is none of this work's. Raises AgentError."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """A line of the report."""

    file: str
    result: str
    changed: bool = False
    error: AgentError | None = None
    warnings: tuple[AgentError, ...] = ()


def add_options(parser: argparse.ArgumentParser, *, check: bool = False) -> None:
    """The files, and what belongs to several: `files`, `dry_run`, `check` and `report` of `Asked`."""
    parser.add_argument("files", nargs="*", metavar="file", help="files, folders or quoted globs; else standard input")
    several = parser.add_argument_group(
        "several files", "changed in place; if one fails, the others are still processed"
    )
    several.add_argument("--dry-run", action="store_true", help="say what would be done, and write nothing")
    if check:
        several.add_argument("--check", action="store_true", help="as --dry-run, and exit 1 where there is something")
    add_report_option(several)


def add_report_option(parser: argparse._ActionsContainer) -> None:  # pyright: ignore[reportPrivateUsage]
    """Sets `report`."""
    parser.add_argument(
        "-o",
        dest="report",
        choices=terminal.FORMS,
        default="table",
        help="the report's form: for people, or for programs",
    )


def several(asked: Asked) -> bool:
    """Whether work on a tree is asked for.

    Raises ConflictingFlagsError for several files that are not to be written in place, ReadError for a folder that is not.
    """
    names = asked.files
    special = [name for name in names if _is_glob(name) or _is_folder(name)]
    reported = asked.report != "table" and asked.in_place
    if not special and len(names) < 2 and not (names and (reported or asked.looks)):
        return False
    if not asked.looks and not asked.in_place:
        if len(names) == 1 and not _is_glob(names[0]):
            raise ReadError("a folder's files are written in place only", hint="add --in-place", file=names[0])
        raise ConflictingFlagsError("several files are written in place only", hint="add --in-place, or name one file")
    for flag in ("output", "extract", "filename_override"):
        if getattr(asked, flag):
            raise ConflictingFlagsError("a flag is for one file only", flag=f"--{flag.replace('_', '-')}")
    return True


def run(asked: Asked, work: Work) -> int:
    """Every file's turn, and the report; the exit code."""
    results = list(each(asked.files, work, write=not asked.looks, config=asked.config))
    return _report(asked, results)


def each(names: Sequence[str], work: Work, *, write: bool, config: str | None = None) -> Iterator[Result]:
    """Every file's turn, with progress for a person who waits. `config` is the `.sops.yaml` that was named."""
    finder = _Finder()
    found = list(finder.find(names))
    yield from finder.failed
    written: list[str] = []
    for number, one in enumerate(found, 1):
        terminal.status(f"{number}/{len(found)} {one.file}")
        try:
            result = _turn(one, work, write=write, config=config)
        except AgentError as error:
            result = Result(one.file, "failed", error=error)
        if result is not None:
            written += [one.file] if write and result.changed else []
            yield result
    terminal.status("")
    content.make_durable(written)


def _turn(found: Found, work: Work, *, write: bool, config: str | None) -> Result | None:
    data = content.read(found.file)
    done = work(found, data)
    if done is None:
        return None
    changed = done.data is not None and done.data != data
    if changed:
        # Only here, since what is not written leads nowhere.
        from agent.cli.files import boundary

        boundary.check(found.file, config)
    if changed and write and done.data is not None:
        content.write(found.file, done.data, durable=False)
    result = done.result if write or not changed else f"would be {done.result}"
    return Result(found.file, result, changed, warnings=done.warnings)


# Which files


class _Finder:
    def __init__(self) -> None:
        self.failed: list[Result] = []
        self._seen: set[str] = set()

    def find(self, names: Sequence[str]) -> Iterator[Found]:
        """Each file once, in the order in which it is first met."""
        for name in names:
            for found in self._of(name):
                real = os.path.realpath(found.file)
                if real not in self._seen:
                    self._seen.add(real)
                    yield found

    def _of(self, name: str) -> Iterator[Found]:
        paths = [name]
        if _is_glob(name):
            root, parts = _parts(name)
            paths = list(self._glob(root, parts))
            if not paths:
                self._fail(name, FileMissingError("no file matches", file=name))
        for path in paths:
            if _is_folder(path):
                root, parts = _parts(path)
                yield from self._folder(root + "/".join(parts))
            else:
                yield Found(path, named=True)

    def _glob(self, folder: str, parts: Sequence[str]) -> Iterator[str]:
        part, *rest = parts
        if part == "**":
            yield from self._glob_below(folder, parts)
        elif _GLOB.isdisjoint(part):
            path = os.path.join(folder, part)
            if rest and os.path.isdir(path) and (part == ".." or not os.path.islink(path)):
                yield from self._glob(path, rest)
            elif not rest and os.path.exists(path) and not _is_special(path):
                yield path
        else:
            from fnmatch import fnmatchcase

            for entry in self._entries(folder):
                hidden = entry.name.startswith(".") and not part.startswith(".")
                if hidden or not fnmatchcase(entry.name, part):
                    continue
                if not rest:
                    path = os.path.join(folder, entry.name)
                    yield from () if _is_special(path) else (path,)
                elif entry.is_dir(follow_symlinks=False):
                    yield from self._glob(os.path.join(folder, entry.name), rest)

    def _glob_below(self, folder: str, parts: Sequence[str]) -> Iterator[str]:
        """Of this folder and all below it; `parts` begins with `**`."""
        if len(parts) > 1:
            yield from self._glob(folder, parts[1:])
        for entry in self._entries(folder):
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield from self._glob_below(os.path.join(folder, entry.name), parts)
            elif len(parts) == 1 and entry.is_file(follow_symlinks=False):
                yield os.path.join(folder, entry.name)

    def _folder(self, folder: str) -> Iterator[Found]:
        for entry in self._entries(folder):
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield from self._folder(os.path.join(folder, entry.name))
            elif entry.is_file(follow_symlinks=False) and _size(entry) <= LARGEST:
                yield Found(os.path.join(folder, entry.name), named=False)

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        """Of a folder; an empty name is the working directory."""
        folder = folder or "."
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._fail(folder, ReadError("the folder cannot be read", folder=folder, cause=system.cause(error)))
            return []

    def _fail(self, name: str, error: AgentError) -> None:
        self.failed.append(Result(name, "failed", error=error))


def _parts(path: str) -> tuple[str, list[str]]:
    """The root, empty for a relative path, and the names behind it."""
    return "/" if path.startswith("/") else "", [part for part in path.split("/") if part not in {"", "."}]


def _is_glob(name: str) -> bool:
    return not _GLOB.isdisjoint(name) and not os.path.lexists(name)


def _is_special(path: str) -> bool:
    """Whether it is a device, a pipe or a socket, or a link to one."""
    return os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def _is_folder(name: str) -> bool:
    # Of a variable that a script left unset comes an empty name, which is not this folder.
    return name != "" and os.path.isdir(name)


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0  # gone in between, which reading it will show


# The report


def _exit_code(asked: Asked, results: Sequence[Result]) -> int:
    """The first failure's, else 1 where `--check` found what would change."""
    for result in results:
        if result.error is not None:
            return _code(result.error)
    return int(asked.check and any(result.changed for result in results))


def _report(asked: Asked, results: Sequence[Result]) -> int:
    code = _exit_code(asked, results)
    if asked.report != "table":
        terminal.write_data({"files": [_line(result) for result in results], "exit_code": code}, asked.report)
        return code
    shown = [result for result in results if result.changed or result.error is not None]
    terminal.table(("FILE", "RESULT", "CAUSE"), ((each.file, each.result, _cause(each.error)) for each in shown))
    counts = Counter(result.result for result in results)
    terminal.line(", ".join(f"{count} {name}" for name, count in counts.items()) or "no file to work on")
    warnings = [(each.file, warning) for each in results for warning in each.warnings]
    for file, warning in warnings:
        terminal.warn(str(warning.with_facts(file=file)))
    errors = [each.error for each in shown if each.error is not None] + [warning for _, warning in warnings]
    for hint in dict.fromkeys(error.hint for error in errors if error.hint):
        terminal.hint(hint)
    return code


def _line(result: Result) -> dict[str, object]:
    line: dict[str, object] = {"file": escape(result.file), "result": result.result, "changed": result.changed}
    if result.warnings:
        line["warnings"] = [{"cause": _cause(each), "hint": each.hint} for each in result.warnings]
    if result.error is not None:
        line |= {"cause": _cause(result.error), "hint": result.error.hint, "exit_code": _code(result.error)}
    return line


def _code(error: AgentError) -> int:
    # Only here, since few files fail.
    from agent.cli import exit_codes

    return exit_codes.of(error)


def _cause(error: AgentError | None) -> str:
    """The error without the file, which stands beside it."""
    if error is None:
        return ""
    bare = error.copy()
    bare.facts.pop("file", None)
    return str(bare)
