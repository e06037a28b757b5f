"""Unpacking the archive of an artifact, which its author made: tar, or tar in gzip. Everything that it chooses has a limit, and nothing is written by its names.

tarfile reads what describes an entry as a whole, however long it is, and one description may lead to the next. So what it reads between two
entries is counted.
"""

from __future__ import annotations

import tarfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from agent.values.errors import LimitError, SourceError
from agent.values.text import cut

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_PIECE: Final = 64 * 1024
_DESCRIPTION: Final = 64 * 1024
"""Bytes between two entries."""
_SHARED: Final = 256
"""Headers for all entries."""
_GZIP: Final = b"\x1f\x8b"
_LONGEST: Final = 1024
"""Bytes of a path, and of a link's target."""
_PATHS: Final = 8 * 1024 * 1024
"""Bytes of all paths."""
_DEEPEST: Final = 64
"""Folders of a path."""


class Source(Protocol):
    """A file to read from."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """`size` is of all contents with their descriptions, in bytes, `entries` that of files, links and folders."""

    size: int
    entries: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or link. `pieces` is read before the next entry is asked for; of a link, it is the target."""

    path: str
    kind: Literal["file", "link"]
    size: int
    pieces: Iterator[bytes]


def entries(source: Source, limits: Limits) -> Iterator[Entry]:
    """The files and links of an archive. Raises SourceError, LimitError; what came before counts only if it does not."""
    reader = _Reader(_unpacked(source), limits.size)
    with _translated(), tarfile.TarFile(fileobj=reader, mode="r", encoding="utf-8") as archive:  # pyright: ignore[reportArgumentType]
        yield from _entries(archive, reader, limits)
        reader.finish()


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except (tarfile.TarError, zlib.error, EOFError, RecursionError, ValueError, OverflowError):
        raise SourceError("the artifact's archive is damaged, or no tar archive", hint="push it again") from None


def _entries(archive: tarfile.TarFile, reader: _Reader, limits: Limits) -> Iterator[Entry]:
    count, paths, seen = 0, 0, _Seen()
    while (member := archive.next()) is not None:
        reader.described = 0
        archive.members = []  # it remembers them all  # pyright: ignore[reportAttributeAccessIssue]
        count += 1
        if count > limits.entries or len(archive.pax_headers) > _SHARED:
            raise LimitError(
                "the artifact has more entries than the agent accepts",
                hint="limits.objects in the operator's file is the limit, for files and folders together",
                limit=limits.entries,
            )
        path = _path(member.name)
        paths += len(path.encode())
        if paths > _PATHS:
            raise LimitError("the artifact's paths are longer together than the agent accepts", limit=_PATHS)
        if member.isdir():
            seen.folder(path)
            continue
        if member.issym() or member.islnk():
            target = member.linkname.encode("utf-8", "surrogateescape")[:_LONGEST]
            seen.file(path)
            yield Entry(path, "link", len(target), iter((target,)))
        elif member.isreg() and not member.issparse() and member.size >= 0:
            seen.file(path)
            yield Entry(path, "file", member.size, _pieces(reader, member))
        else:
            raise SourceError("the artifact has an entry that is no file, folder or link", file=path)


class _Seen:
    """The paths that an archive had so far."""

    def __init__(self) -> None:
        self._files: Final[set[str]] = set()
        self._folders: Final[set[str]] = set()

    def file(self, path: str) -> None:
        self.folder(path.rpartition("/")[0])
        if path in self._files or path in self._folders or not path:
            raise SourceError("the artifact has a path twice", file=path)
        self._files.add(path)

    def folder(self, path: str) -> None:
        while path and path not in self._folders:
            if path in self._files:
                raise SourceError("the artifact has a path twice", file=path)
            self._folders.add(path)
            path = path.rpartition("/")[0]


def _path(name: str) -> str:
    """From the archive's root, without `./`; empty for the root itself. Raises SourceError."""
    steps = [step for step in name.split("/") if step not in {"", "."}]
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        size = _LONGEST + 1
    if (
        name.startswith("/")
        or ".." in steps
        or "\0" in name
        or "\\" in name
        or size > _LONGEST
        or len(steps) > _DEEPEST
    ):
        raise SourceError(
            "the artifact has a path that the agent does not take",
            hint="paths are relative UTF-8 without .. and \\, of at most 1024 bytes and 64 folders",
            file=cut(name.encode("utf-8", "backslashreplace").decode(), _LONGEST),
        )
    return "/".join(steps)


def _pieces(reader: _Reader, member: tarfile.TarInfo) -> Iterator[bytes]:
    left = member.size
    while left:
        with _translated():
            reader.seek(member.offset_data + member.size - left)
            piece = reader.content(min(left, _PIECE))
            if not piece:
                raise EOFError
        left -= len(piece)
        yield piece


class _Reader:
    """What tarfile reads from: forwards only, at most `limit` bytes, and `_DESCRIPTION` bytes between two entries."""

    def __init__(self, pieces: Iterator[bytes], limit: int) -> None:
        self._pieces: Final = pieces
        self._limit: Final = limit
        self._buffer: bytearray = bytearray()
        self._at: int = 0
        self._last: bytes = b""
        self.described: int = 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int) -> int:
        if offset < self._at:
            raise ValueError
        while self._at < offset and self.content(min(offset - self._at, _PIECE)):
            pass
        return self._at

    def read(self, size: int) -> bytes:
        self.described += size
        if self.described > _DESCRIPTION:
            raise LimitError("the artifact describes an entry by more than the agent accepts", limit=_DESCRIPTION)
        self._last = self.content(size)
        return self._last

    def content(self, size: int) -> bytes:
        while len(self._buffer) < size and (piece := next(self._pieces, None)) is not None:
            self._buffer += piece
        found = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._at += len(found)
        if self._at > self._limit:
            raise LimitError(
                "the artifact unpacks to more than the agent accepts",
                hint="limits.artifactBytes in the operator's file is the limit",
                limit=self._limit,
            )
        return found

    def finish(self) -> None:
        """Read to the end. tarfile stops at a damaged header, or where there is none, as it does at the end of an archive."""
        if self._last != bytes(tarfile.BLOCKSIZE):
            raise EOFError
        while self.content(_PIECE):
            pass


def _unpacked(source: Source) -> Iterator[bytes]:
    first = source.read(_PIECE)
    if not first.startswith(_GZIP):
        while first:
            yield first
            first = source.read(_PIECE)
        return
    unzip = zlib.decompressobj(wbits=31)
    while not unzip.eof:
        piece = unzip.decompress(first, _PIECE)
        if piece:
            yield piece
        first = unzip.unconsumed_tail
        if not first and len(piece) < _PIECE and not unzip.eof:
            first = source.read(_PIECE)
            if not first:
                raise EOFError
    if unzip.unused_data or source.read(1):
        raise ValueError
