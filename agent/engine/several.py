"""The sources of an Application together: which commit each has, and their files as those of one tree, with a folder per further source.

Submodules have their files in it too, where they stand.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.engine import credentials, rooms, submodules
from agent.engine.bases import MOST_PATHS, CommittedFiles
from agent.engine.repositories import Snapshot
from agent.manifests import listing
from agent.manifests.submodules import pieces
from agent.values.errors import AgentError, LimitError, SourceError
from agent.values.ids import Revision

if TYPE_CHECKING:
    from collections.abc import Container, Generator, Iterable, Mapping, Sequence

    from agent.api.sources import Source
    from agent.engine.bases import Files
    from agent.engine.context import Run
    from agent.engine.credentials import GitCredential
    from agent.engine.repositories import Asked
    from agent.engine.state import Place
    from agent.engine.submodules import Checkout
    from agent.manifests.documents import File, TreeEntry
    from agent.manifests.remote_bases import Base


@dataclass(frozen=True, slots=True)
class Origin:
    """A source with the credential that it alone is asked with. `name` is empty for `spec.source`.

    `modules` are the submodules of one commit of it, which was taken.
    """

    name: str
    source: Source
    credential: GitCredential | None
    modules: tuple[Checkout, ...] = ()

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
        """Errors within say which source they are about, and refusals by whose Secret it was asked."""
        try:
            with credentials.shown(self.credential):
                yield
        except AgentError as error:
            raise (error.with_facts(source=self.name) if self.name else error) from None


@dataclass(frozen=True, slots=True)
class Part:
    """The layers of one source, or of its submodule in the folder `within`. `numbers` are those that they have among all layers."""

    name: str
    source: Source
    numbers: tuple[int, ...]
    within: str = ""

    def of(self, modules: Iterable[str]) -> list[Part]:
        """It as parts of the source's own repository and of its submodules at these paths, whose globs are its."""
        found = pieces(self.source.layers, [*modules])
        return [
            Part(
                self.name,
                self.source.model_copy(update={"layers": each.layers}),
                tuple(self.numbers[number] for number in each.numbers),
                each.within,
            )
            for each in found
        ]

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


async def heads(run: Run, given: Sequence[Origin], asked: Asked) -> Revision:
    """The commits that they name now, and nothing else of these. Raises SourceError."""
    found: list[Revision] = []
    for each in given:
        with each.named():
            found.append(Revision(await run.ports.git.head(each.source, each.credential, asked), "", "", 0))
    return _joined(given, found)


async def fetch(run: Run, given: Sequence[Origin]) -> Revision:
    """Bring the commits that they name into the mirrors. Raises SourceError."""
    found: list[Revision] = []
    for each in given:
        with each.named():
            found.append(await run.ports.git.fetch(each.source, each.credential, run.asked))
    return _joined(given, found)


async def expand(run: Run, given: Sequence[Origin], revision: Revision) -> tuple[tuple[Origin, ...], Revision]:
    """The sources with the submodules of a revision, which it names then. It has to be one that may be taken. Raises SourceError, LimitError."""
    found: list[Origin] = []
    for each in given:
        with each.named():
            commit = each.of(revision).commit
            modules = await submodules.fetch(run, each.name, each.credential, commit)
        found.append(replace(each, modules=modules))
    named = {each.name: tuple(one.module for one in each.modules) for each in found}
    further = tuple((name, replace(part, modules=named.get(name, ()))) for name, part in revision.further)
    return tuple(found), replace(revision, modules=named[""], further=further)


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
        modules = {each.module.path: each for each in origin.modules}
        with origin.named():
            for piece in part.of(modules):
                got = await _files(run, origin, modules.get(piece.within), revision, _Known(piece, known))
                found += got.files
                refused += [each for each in got.refused if each[0] not in {*map(part.path, modules)}]
                if modules:
                    _check_size(run, found)
                if not part.name:
                    listing.check_apart(by_name, (file.path for file in got.files))
    return Snapshot(tuple(sorted(found, key=lambda file: (file.layer, file.path))), tuple(refused))


async def _files(run: Run, origin: Origin, checkout: Checkout | None, revision: Revision, known: _Known) -> Snapshot:
    """The files of one repository, as those of all sources."""
    part, git = known.part, run.ports.git
    if checkout is None:
        got = await git.files(part.source, origin.credential, origin.of(revision).commit, known, most=run.room.text)
    else:
        module, only = checkout.module, {"url": checkout.module.url, "revision": checkout.source.revision}
        source = part.source.model_copy(update=only)
        got = await git.files(source, checkout.credential, module.commit, known, part.within, most=run.room.text)
    run.room.take(rooms.of_files(got.files))
    found = (replace(file, path=part.path(file.path), layer=part.numbers[file.layer]) for file in got.files)
    return Snapshot(tuple(found), tuple((part.path(path), error) for path, error in got.refused))


def _check_size(run: Run, found: Sequence[File]) -> None:
    """Raises LimitError: the files of submodules count as those of their source."""
    if len(found) > run.limits.objects or sum(len(file.data) for file in found) > run.limits.manifest_bytes:
        raise LimitError(
            "the layers hold more than the agent accepts",
            hint="limits.manifestBytes and limits.objects in the operator's file are the limits",
        )


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
    found: dict[str, Files] = {}
    for each in given:
        with each.named():
            own = await _committed(run, each.source, each.credential, each.of(revision).commit)
            modules = {
                one.module.path: await _committed(run, one.source, one.credential, one.module.commit)
                for one in each.modules
            }
            found[each.name] = _joined_files(own, modules) if modules else own
    own = found.pop("")
    if not found:
        return own
    listing.check_apart(found, own.listing)
    return _joined_files(own, found)


async def _committed(run: Run, source: Source, credential: GitCredential | None, commit: str) -> CommittedFiles:
    return CommittedFiles(run, source, credential, commit, await run.ports.git.tree(source, credential, commit))


def _joined_files(own: Files, parts: Mapping[str, Files]) -> _Joined:
    """Raises LimitError."""
    listing = {path: entry for path, entry in own.listing.items() if path not in parts}
    for folder, part in parts.items():
        listing.update((f"{folder}/{path}", entry) for path, entry in part.listing.items())
        if len(listing) > 2 * MOST_PATHS:
            raise LimitError(
                "submodules and further sources have more files than the agent searches",
                hint="name fewer of them",
                limit=2 * MOST_PATHS,
            )
    for folder in parts:
        listing.pop(folder, None)
    return _Joined(own, parts, listing)


@dataclass(frozen=True, slots=True)
class _Joined:
    """The files of several commits; `parts` by the folder that they stand in, of which one may be within another."""

    own: Files
    parts: Mapping[str, Files]
    listing: Mapping[str, TreeEntry]

    async def read(self, paths: Iterable[str]) -> Mapping[str, File]:
        by_part: dict[str, list[str]] = {}
        for path in paths:
            by_part.setdefault(self._folder(path), []).append(path)
        found = dict(await self.own.read(by_part.pop("", [])))
        for name, some in by_part.items():
            files = await self.parts[name].read(path.removeprefix(f"{name}/") for path in some)
            found |= {f"{name}/{path}": replace(file, path=f"{name}/{path}") for path, file in files.items()}
        return found

    def _folder(self, path: str) -> str:
        """The innermost of the parts' folders that a path is in; empty for none."""
        while path := path.rpartition("/")[0]:
            if path in self.parts:
                return path
        return ""

    @property
    def granted(self) -> tuple[str, ...]:
        return self.own.granted

    async def base(self, base: Base) -> Files:
        return await self.own.base(base)
