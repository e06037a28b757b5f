"""Which files of a commit count: layers, names, globs, and what is refused instead of read."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from agent.manifests.globs import Globs
from agent.values.errors import LimitError, ManifestError, SourceError, UnsupportedManifestError
from agent.values.text import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    from agent.api.sources import Source
    from agent.values.errors import AgentError

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_NAMES: Final = frozenset({"Kustomization"})
"""Counts without a suffix, so that a folder meant for another tool is an error rather than a silence."""

LONGEST_PATH: Final = 512
"""Characters of a path, as many as `spec.source` takes: each object remembers the files that it comes from."""

_LONGEST_MATCHED: Final = 1024
"""Characters of a path that the globs are asked of; a longer one counts, and so is refused."""

FILE: Final = "100644"
SYMLINK: Final = "120000"
SUBMODULE: Final = "160000"
KINDS: Final[Mapping[str, Literal["link", "submodule"]]] = {SYMLINK: "link", SUBMODULE: "submodule"}
"""What is no regular file, by mode."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as `git ls-tree -r -z -l` lists it; `path` from the repository's root. `size` None: the mirror has no such blob."""

    mode: str
    blob: str
    size: int | None
    path: str


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a source: its number and its normalised path, `.` for the root."""

    number: int
    path: str


def layers(source: Source) -> list[Layer]:
    """The source's layers, normalised. Raises SourceError for one that leaves the repository, or lies within another."""
    found: list[Layer] = []
    for number, text in enumerate(source.layers):
        steps = [step for step in text.split("/") if step not in {"", "."}]
        if text.startswith("/") or ".." in steps or not text.isprintable() or ".git" in steps:
            raise SourceError("a layer must be a folder of the repository", layer=text, field="spec.source.layers")
        found.append(Layer(number, "/".join(steps) or "."))
    for one in found:
        for other in found:
            if one is not other and (other.path == "." or f"{one.path}/".startswith(f"{other.path}/")):
                raise SourceError(
                    "a layer is inside another one, so its files would count twice",
                    hint="put the layers side by side, such as base and envs/prod",
                    layer=one.path,
                    other=other.path,
                    field="spec.source.layers",
                )
    return found


def placed(
    entries: Iterable[tuple[Entry, AgentError | None]], layer: Layer, within: str
) -> tuple[Iterable[tuple[Entry, AgentError | None]], Layer]:
    """Entries of a layer as paths of the repository that has theirs as a submodule, in the folder `within`."""
    if not within:
        return entries, layer
    moved = ((replace(entry, path=f"{within}/{entry.path}"), error) for entry, error in entries)
    return moved, Layer(layer.number, within if layer.path == "." else f"{within}/{layer.path}")


def parse(listing: bytes, layer: Layer, *, rooted: bool = False) -> Iterator[tuple[Entry, AgentError | None]]:
    """Entries of `git ls-tree -r -z -l` of a layer's tree, or the lines of a layer out of the root's, whose names are `rooted`.

    One whose name is not UTF-8 comes with the error. Line by line: all lines at once would take several times what the listing does.
    """
    prefix = "" if rooted or layer.path == "." else f"{layer.path}/"
    at = 0
    while at < len(listing):
        end = listing.find(b"\0", at)
        line, at = listing[at : end if end >= 0 else None], end + 1 if end >= 0 else len(listing)
        head, _, name = line.partition(b"\t")
        mode, _, blob, size = head.decode("ascii").split()
        error: AgentError | None = None
        try:
            path = prefix + name.decode()
        except UnicodeDecodeError:
            path = prefix + name.decode("utf-8", "backslashreplace")
            error = ManifestError("the file's name is not UTF-8", hint="rename the file", file=path, layer=layer.path)
        yield Entry(mode, blob, _size(size), path), error


def _size(text: str) -> int | None:
    """`-` stands for what is not a blob, `BAD` for one that is not there: the server was asked to leave out what is too large."""
    if text == "-":
        return 0
    return int(text) if text.isdecimal() else None


class Selection:
    """What of a layer is read, and what is refused, by the source's globs and the limits.

    `check` is called before each path is looked at, and raises where that goes on for too long: there may be a million of them.
    """

    def __init__(self, source: Source, *, file_bytes: int, files: int, check: Callable[[], None]) -> None:
        self._include: Final = Globs(source.include)
        self._exclude: Final = Globs(source.exclude)
        self._all: Final = not source.include
        self._file_bytes: Final = file_bytes
        self._files: Final = files
        self._check: Final = check

    def of(
        self,
        entries: Iterable[tuple[Entry, AgentError | None]],
        layer: Layer,
        is_folder: Callable[[Entry], bool],
    ) -> tuple[list[Entry], list[tuple[str, AgentError]]]:
        """Entries to read, sorted by path, and the refused. `is_folder` says whether a symbolic link may lead to one."""
        taken: list[Entry] = []
        refused: list[tuple[str, AgentError]] = []
        for number, (entry, wrong, counts) in enumerate(self._looked_at(entries, layer), 1):
            if number > self._files:
                raise LimitError(
                    "more files than the agent accepts",
                    hint="limits.objects in the operator's file is the limit; exclude what is not a manifest",
                    file=entry.path,
                )
            error = self._refuse(entry, layer, is_folder, counts=counts)
            if error is None and not counts:
                continue
            error = error or wrong
            if error is not None:
                refused.append((cut(entry.path, LONGEST_PATH), error))
            else:
                taken.append(entry)
        return sorted(taken, key=lambda entry: entry.path), sorted(refused, key=lambda pair: pair[0])

    def _looked_at(
        self, entries: Iterable[tuple[Entry, AgentError | None]], layer: Layer
    ) -> Iterator[tuple[Entry, AgentError | None, bool]]:
        """Those that count, as the third says, or are links or submodules that are not excluded.

        A link costs questions to git, and each refusal is kept and shown.
        """
        for entry, wrong in entries:
            self._check()
            below = entry.path if layer.path == "." else entry.path[len(layer.path) + 1 :]
            if any(step.startswith(".") for step in below.split("/")):
                continue
            counts = self._counts(entry.path)
            if counts or (entry.mode in {SYMLINK, SUBMODULE} and not self._excludes(entry.path)):
                yield entry, wrong, counts

    def _counts(self, path: str) -> bool:
        name = posixpath.basename(path)
        if not name.endswith(_SUFFIXES) and name not in _NAMES:
            return False
        return self._wanted(path)

    def _wanted(self, path: str) -> bool:
        return len(path) > _LONGEST_MATCHED or ((self._all or self._include.match(path)) and not self._excludes(path))

    def _excludes(self, path: str) -> bool:
        return len(path) <= _LONGEST_MATCHED and self._exclude.match(path)

    def _refuse(
        self, entry: Entry, layer: Layer, is_folder: Callable[[Entry], bool], *, counts: bool
    ) -> AgentError | None:
        if entry.mode == SUBMODULE:
            return UnsupportedManifestError(
                "submodules are not followed",
                hint="name its repository in submodules of the source, or exclude the path",
                file=entry.path,
                layer=layer.path,
            )
        if entry.mode == SYMLINK:
            return (
                UnsupportedManifestError(
                    "symbolic links are not followed",
                    hint="copy what it points to, or exclude the path",
                    file=entry.path,
                    layer=layer.path,
                )
                if counts or is_folder(entry)
                else None
            )
        if len(entry.path) > LONGEST_PATH and counts:
            return ManifestError(
                "the file's path is longer than the agent accepts",
                hint="rename it or a folder above it, or exclude it",
                file=cut(entry.path, LONGEST_PATH),
                limit=LONGEST_PATH,
                layer=layer.path,
            )
        if (entry.size is None or entry.size > self._file_bytes) and counts:
            size = {} if entry.size is None else {"bytes": entry.size}
            return LimitError(
                "larger than the agent accepts",
                hint="limits.fileBytes in the operator's file is the limit; split the file, or exclude it",
                file=entry.path,
                limit=self._file_bytes,
                layer=layer.path,
                **size,
            )
        return None


def link_target(path: str, target: bytes) -> str | None:
    """Where a symbolic link at `path` leads within the repository; None for out of it."""
    text = posixpath.normpath(posixpath.join(posixpath.dirname(path), target.decode("utf-8", "replace")))
    if text.startswith(("/", "../")) or text in {"..", "."} or not text.isprintable():
        return None
    return text


def total(entries: Sequence[Entry]) -> int:
    """Bytes of all of them."""
    return sum(entry.size or 0 for entry in entries)


def check_apart(names: Container[str], paths: Iterable[str]) -> None:
    """Raises SourceError where the own repository has files where those of another one are put."""
    taken = next((path for path in paths if path.partition("/")[0] in names), None)
    if taken is not None:
        raise SourceError(
            "the repository has files where those of a further source are put",
            hint="give the source in spec.sources another name",
            file=taken,
        )
