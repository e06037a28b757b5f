"""The files that an Application renders: those of its own commit, and those of remote bases in folders of their own."""

from __future__ import annotations

from collections import ChainMap, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from agent.api.sources import Source, SourceRevision
from agent.engine import credentials
from agent.engine.rooms import TEXT, Room
from agent.manifests import remote_bases
from agent.manifests.documents import RENDERED, File, TreeEntry
from agent.values.errors import LimitError, RemoteBaseError, SourceError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from agent.api.operator import Limits
    from agent.engine.chart_dependencies import Fetching
    from agent.engine.charting import ChartArchive
    from agent.engine.context import Run
    from agent.engine.credentials import GitCredential
    from agent.manifests.remote_bases import Base

MOST_PATHS: Final = 200_000
"""Of all remote bases of an overlay."""


class Files(Protocol):
    """The files of a commit, or of a work tree."""

    @property
    def listing(self) -> Mapping[str, TreeEntry]:
        """Every path, from the repository's root."""
        ...

    async def read(self, paths: Iterable[str]) -> Mapping[str, File]:
        """The contents of files of the listing, by path."""
        ...

    @property
    def granted(self) -> tuple[str, ...]:
        """The addresses below which the operator grants remote bases."""
        ...

    async def base(self, base: Base) -> Files:
        """Those of a remote base, fetched. Raises SourceError, RemoteBaseError, LimitError."""
        ...


class Readable(Protocol):
    """Files by path."""

    @property
    def listing(self) -> Mapping[str, TreeEntry]:
        """Every path, from the root."""
        ...

    async def read(self, paths: Iterable[str]) -> Mapping[str, File]:
        """The contents of files of the listing, by path."""
        ...


@dataclass(frozen=True, slots=True)
class CommittedFiles:
    """Those of a commit that was fetched."""

    run: Run
    source: Source
    credential: GitCredential | None
    commit: str
    listing: Mapping[str, TreeEntry]

    async def read(self, paths: Iterable[str]) -> Mapping[str, File]:
        blobs = {path: self.listing[path].blob for path in paths}
        if not blobs:
            return {}
        contents = await self.run.ports.git.blobs(self.source, self.credential, self.commit, {*blobs.values()})
        return {path: File(path, blob, contents[blob], RENDERED) for path, blob in blobs.items()}

    @property
    def granted(self) -> tuple[str, ...]:
        return self.run.grants.remote_bases

    async def base(self, base: Base) -> CommittedFiles:
        git = self.run.ports.git
        source = Source(url=base.url, revision=SourceRevision(commit=base.commit))
        credential = await self.run.ports.credentials.base(self.run.application, base.url)
        with credentials.shown(credential):
            _ = await git.fetch(source, credential)
        listing = await git.tree(source, credential, base.commit)
        return CommittedFiles(self.run, source, credential, base.commit, listing)


@dataclass(slots=True)
class Mounted:
    """Files of a commit, and those of the bases that were mounted; a chart of a server that may be, and how others are fetched."""

    own: Files
    chart: ChartArchive | None = None
    fetch_chart: Fetching | None = None
    listing: ChainMap[str, TreeEntry] = field(init=False)
    within: dict[str, Readable] = field(default_factory=dict[str, "Readable"])
    bases: list[Base] = field(default_factory=list["Base"])

    def __post_init__(self) -> None:
        # a listing is only read
        self.listing = ChainMap({}, self.own.listing)  # pyright: ignore[reportArgumentType]

    async def fetch(self, base: Base) -> Readable:
        """The files of a base. Raises SourceError, RemoteBaseError, LimitError."""
        return self.within.get(base.folder) or await self.own.base(base)

    def mount(self, base: Base, files: Readable) -> None:
        """Put the files of a base into its folder, for a thread: they are many. Raises RemoteBaseError, LimitError."""
        if base.folder in self.within:
            return
        if any(path.startswith(f"{base.folder}/") for path in self.own.listing):
            raise RemoteBaseError(
                "the repository has files where those of a remote base are put",
                hint="delete the folder",
                folder=base.folder,
            )
        added = self.listing.maps[0]
        if len(added) + len(files.listing) > MOST_PATHS:
            raise LimitError(
                "remote bases have more files than the agent searches",
                hint="vendor what is needed of them",
                limit=MOST_PATHS,
            )
        self.within[base.folder] = files
        self.bases.append(base)
        added.update((f"{base.folder}/{path}", entry) for path, entry in files.listing.items())

    async def read(self, paths: Iterable[str]) -> Mapping[str, File]:
        by_root = defaultdict[str, list[str]](list)
        for path in paths:
            root = remote_bases.root_of(path)
            by_root[root if root in self.within else ""].append(path)
        found = dict(await self.own.read(by_root.pop("", [])))
        for root, names in by_root.items():
            files = await self.within[root].read(name[len(root) + 1 :] for name in names)
            found |= {f"{root}/{name}": replace(file, path=f"{root}/{name}") for name, file in files.items()}
        return found


@dataclass(slots=True)
class Reader:
    """Files by path, each within the limits, and all of them together too."""

    files: Mounted
    limits: Limits
    size: int = 0
    known: dict[str, File] = field(default_factory=dict[str, File])
    room: Room = field(default_factory=Room)

    async def read(self, paths: Collection[str]) -> Mapping[str, File]:
        """Raises LimitError, and SourceError for a file that is not there."""
        new = sorted({*paths} - self.known.keys())
        size = sum(map(self._size, new))
        self._take(size)
        self.room.take(TEXT * size)
        self.known.update(await self.files.read(new))
        return {path: self.known[path] for path in sorted(paths)}

    def take(self, listing: Mapping[str, TreeEntry]) -> None:
        """Files that are read elsewhere count too. Raises LimitError."""
        for path, entry in listing.items():
            self._take(self._within(path, entry))

    def _take(self, size: int) -> None:
        self.size += size
        if self.size > self.limits.manifest_bytes:
            raise LimitError(
                "the files to render are larger together than the agent accepts",
                hint="limits.manifestBytes in the operator's file is the limit",
                limit=self.limits.manifest_bytes,
            )

    def _size(self, path: str) -> int:
        entry = self.files.listing.get(path)
        if entry is None or entry.kind != "file":
            raise SourceError("the repository has no such file", hint="check spec.substitute.files", file=path)
        return self._within(path, entry)

    def _within(self, path: str, entry: TreeEntry) -> int:
        if entry.size is None or entry.size > self.limits.file_bytes:
            raise LimitError(
                "larger than the agent accepts",
                hint="limits.fileBytes in the operator's file is the limit",
                file=path,
                limit=self.limits.file_bytes,
            )
        return entry.size
