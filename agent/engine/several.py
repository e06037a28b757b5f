"""The sources of an Application together: which commit each has, and their files as those of one tree, with a folder per further source."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.engine.bases import CommittedFiles
from agent.engine.repositories import Snapshot
from agent.values.errors import AgentError, SourceError
from agent.values.ids import Revision

if TYPE_CHECKING:
    from collections.abc import Container, Generator, Iterable, Mapping, Sequence

    from agent.api.sources import Source
    from agent.engine.bases import Files
    from agent.engine.context import Run
    from agent.engine.credentials import GitCredential
    from agent.engine.state import Place
    from agent.manifests.documents import File, TreeEntry
    from agent.manifests.remote_bases import Base


@dataclass(frozen=True, slots=True)
class Origin:
    """A source with the credential that it alone is asked with. `name` is empty for `spec.source`."""

    name: str
    source: Source
    credential: GitCredential | None

    def of(self, revision: Revision) -> Revision:
        """Its own part of a revision. Raises SourceError for a revision from before it was added."""
        if not self.name:
            return replace(revision, further=())
        found = dict(revision.further).get(self.name)
        if found is None:
            raise SourceError("the revision has no commit of this source", source=self.name)
        return found

    @contextmanager
    def named(self) -> Generator[None]:
        """Errors within say which source they are about."""
        try:
            yield
        except AgentError as error:
            raise (error.with_facts(source=self.name) if self.name else error) from None


@dataclass(frozen=True, slots=True)
class Part:
    """The layers of one source. `numbers` are those that they have among all layers."""

    name: str
    source: Source
    numbers: tuple[int, ...]

    def path(self, path: str) -> str:
        """Where a file of it stands among those of all sources."""
        return f"{self.name}/{path}" if self.name else path


def parts(sources: Mapping[str, Source], layers: Sequence[str]) -> list[Part]:
    """Each source with its own of the layers, as they are called there; those without one are left out."""
    numbers: dict[str, list[int]] = {}
    for number, layer in enumerate(layers):
        folder = layer.partition("/")[0]
        numbers.setdefault(folder if folder in sources else "", []).append(number)

    def within(name: str) -> tuple[str, ...]:
        return tuple(layers[each].partition("/")[2] or "." if name else layers[each] for each in numbers[name])

    return [
        Part(name, source.model_copy(update={"layers": within(name)}), tuple(numbers[name]))
        for name, source in sources.items()
        if name in numbers
    ]


async def origins(run: Run) -> tuple[Origin, ...]:
    """All sources, `spec.source` first. Raises SourceError."""
    found: list[Origin] = []
    for name, source in run.application.spec.all_sources.items():
        found.append(Origin(name, source, await run.ports.credentials.git(run.application, name)))
    return tuple(found)


async def heads(run: Run, given: Sequence[Origin]) -> Revision:
    """The commits that they name now, and nothing else of these. Raises SourceError."""
    found: list[Revision] = []
    for each in given:
        with each.named():
            found.append(Revision(await run.ports.git.head(each.source, each.credential, run.asked), "", "", 0))
    return _joined(given, found)


async def fetch(run: Run, given: Sequence[Origin]) -> Revision:
    """Bring the commits that they name into the mirrors. Raises SourceError."""
    found: list[Revision] = []
    for each in given:
        with each.named():
            found.append(await run.ports.git.fetch(each.source, each.credential, run.asked))
    return _joined(given, found)


def _joined(given: Sequence[Origin], found: Sequence[Revision]) -> Revision:
    own, *further = found
    return replace(own, further=tuple(zip((each.name for each in given[1:]), further, strict=True)))


async def files(run: Run, given: Sequence[Origin], revision: Revision, known: Container[Place]) -> Snapshot:
    """The files of all layers, each of the source whose folder it is in. Raises SourceError, LimitError."""
    by_name = {each.name: each for each in given}
    found: list[File] = []
    refused: list[tuple[str, AgentError]] = []
    for part in parts({each.name: each.source for each in given}, run.application.spec.source.layers):
        origin = by_name[part.name]
        with origin.named():
            commit = origin.of(revision).commit
            got = await run.ports.git.files(part.source, origin.credential, commit, _Known(part, known))
        found += [replace(file, path=part.path(file.path), layer=part.numbers[file.layer]) for file in got.files]
        refused += [(part.path(path), error) for path, error in got.refused]
        if not part.name:
            _check_apart(by_name, (file.path for file in got.files))
    return Snapshot(tuple(sorted(found, key=lambda file: file.layer)), tuple(refused))


@dataclass(frozen=True, slots=True)
class _Known:
    """Which files of a source are known, by their places in it."""

    part: Part
    known: Container[Place]

    def __contains__(self, place: object) -> bool:
        path, blob, layer = place  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        return (self.part.path(path), blob, self.part.numbers[layer]) in self.known  # pyright: ignore[reportUnknownArgumentType]


async def tree(run: Run, given: Sequence[Origin], revision: Revision) -> Files:
    """Every file that may be rendered. Raises SourceError, LimitError."""
    found: dict[str, CommittedFiles] = {}
    for each in given:
        with each.named():
            commit = each.of(revision).commit
            listing = await run.ports.git.tree(each.source, each.credential, commit)
            found[each.name] = CommittedFiles(run, each.source, each.credential, commit, listing)
    own = found.pop("")
    if not found:
        return own
    _check_apart(found, own.listing)
    listing = dict(own.listing)
    for name, part in found.items():
        listing.update((f"{name}/{path}", entry) for path, entry in part.listing.items())
    return _Joined(own, found, listing)


def _check_apart(names: Container[str], paths: Iterable[str]) -> None:
    """Raises SourceError where the own repository has files where those of another one are put."""
    taken = next((path for path in paths if path.partition("/")[0] in names), None)
    if taken is not None:
        raise SourceError(
            "the repository has files where those of a further source are put",
            hint="give the source in spec.sources another name",
            file=taken,
        )


@dataclass(frozen=True, slots=True)
class _Joined:
    """The files of several commits; `parts` by the folder that they stand in."""

    own: CommittedFiles
    parts: Mapping[str, CommittedFiles]
    listing: Mapping[str, TreeEntry]

    async def read(self, paths: Iterable[str]) -> Mapping[str, File]:
        by_part: dict[str, list[str]] = {}
        for path in paths:
            folder = path.partition("/")[0]
            by_part.setdefault(folder if folder in self.parts else "", []).append(path)
        found = dict(await self.own.read(by_part.pop("", [])))
        for name, some in by_part.items():
            files = await self.parts[name].read(path.removeprefix(f"{name}/") for path in some)
            found |= {f"{name}/{path}": replace(file, path=f"{name}/{path}") for path, file in files.items()}
        return found

    @property
    def granted(self) -> tuple[str, ...]:
        return self.own.granted

    async def base(self, base: Base) -> Files:
        return await self.own.base(base)
