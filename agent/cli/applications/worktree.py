"""A folder of manifests as a user has it checked out: which files count and what they are merged for, as the agent would have it.

Files that Git ignores do not count, since they are in no commit; in a folder that is no Git work tree every file does.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent.api import application as applications
from agent.api import names, operator
from agent.api.application import ApplicationSpec
from agent.api.helm import Helm
from agent.api.model import Problem, validate
from agent.api.render import Kustomize, Render
from agent.api.sources import Source
from agent.cli.applications import fetched_bases, refusals, submodule_folders, work_tree_index
from agent.cli.applications.fetched_bases import Bases
from agent.cli.errors import ReadError, UsageError
from agent.cli.files import content
from agent.cli.keys import sealing_keys
from agent.daemon import grants
from agent.desired import cautions
from agent.engine.repositories import Snapshot
from agent.manifests import listing, places
from agent.manifests.documents import RENDERED, File, TreeEntry
from agent.manifests.granted import StoreGrants
from agent.manifests.places import Places
from agent.manifests.sealed_secrets import Unsealing
from agent.values import system
from agent.values.dataclass import dataclass, field
from agent.values.errors import LimitError, SourceError
from agent.values.tree import get_object, get_text
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agent.adapters.keys.sealed_secrets import SealingKeys
    from agent.api.application import Application
    from agent.api.operator import Limits, OperatorSettings
    from agent.cli.applications.fetched_bases import FetchedFiles
    from agent.cli.applications.tree_flags import Asked
    from agent.desired.cautions import Strictness
    from agent.manifests.listing import Entry, Layer
    from agent.manifests.remote_bases import Base
    from agent.manifests.sinks import AllowedSinks
    from agent.values.errors import AgentError
    from agent.values.tree import Tree


@dataclass(frozen=True, slots=True)
class Target:
    """What is merged, and for where. `namespace` is empty where none is given; `application` is the file's, if one was named.

    `spec` is that of the Application, or of one that only renders the folder that the user named.
    `unsealing`: SealedSecrets are unsealed, as the operator's file says, or because the user gave `sealing_keys`. `people` are the field
    managers of people, `disclosed` the variables that become clear text. `bases` fetches remote bases. `granted` are patterns of the
    namespaces that the operator's file lets objects go to, `checkouts` the folders of further sources, `modules` those of submodules.
    `stores` is what may be asked of stores.
    """

    folder: Path
    source: Source
    namespace: str
    sinks: AllowedSinks
    limits: Limits
    application: Application | None
    spec: ApplicationSpec | None
    unsealing: Unsealing | None
    sealing_keys: SealingKeys | None
    strict: Strictness
    people: tuple[str, ...]
    bases: Bases
    disclosed: frozenset[str] = frozenset()
    granted: tuple[str, ...] = places.EVERYWHERE
    checkouts: Mapping[str, Path] = field(default_factory=dict[str, Path])
    modules: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    stores: StoreGrants = StoreGrants()

    @property
    def sources(self) -> Mapping[str, Source]:
        """All sources by their names; what is rendered here is without one."""
        return {**self.application.spec.all_sources, "": self.source} if self.application else {"": self.source}

    def folder_of(self, path: str) -> tuple[Path, str]:
        """The checkout that a file is in, and its path there."""
        name, _, rest = path.partition("/")
        return (self.checkouts[name], rest) if name in self.checkouts else (self.folder, path)

    @property
    def places(self) -> Places:
        """Where objects may go; anywhere, if no namespace is given."""
        if self.application is not None:
            return places.of_application(self.application, self.granted)
        return Places(self.namespace) if self.namespace else Places("default", places.EVERYWHERE, self.granted)


def renders(spec: ApplicationSpec | None) -> bool:
    """Whether objects are made of more than manifests."""
    return spec is not None and not (spec.render is None and spec.substitute is None)


def target(asked: Asked) -> Target:
    """Raises UsageError, ConfigError, ManifestError, YamlError, what reading a file raises, and UnknownChangeError for what the agent refuses."""
    folder = Path(asked.folder)
    if not folder.is_dir():
        raise UsageError("no such folder", folder=asked.folder)
    settings = _operator(asked.operator_file)
    spec = _rendering(asked)
    layers = tuple(part.strip() for given in asked.layers or () for part in given.split(",") if part.strip())
    if asked.application is None:
        return _of_folder(asked, settings, layers, spec)
    if spec is not None:
        raise UsageError("the Application says what is rendered", hint="leave out --kustomize and --helm, or -f")
    application = _application(asked.application, asked.namespace)
    if asked.namespace and asked.namespace != application.namespace:
        raise UsageError(
            "the Application goes to another namespace",
            hint="leave out --namespace",
            namespace=asked.namespace,
            application=application.namespace,
        )
    source = application.spec.source
    if layers:
        source = source.model_copy(update={"layers": layers})
    given = settings if asked.operator_file else None
    granted = refusals.granted(given, application)
    checkouts = _checkouts(asked.source, application.spec)
    return Target(
        folder,
        source,
        application.namespace,
        granted.sinks,
        settings.limits,
        application,
        application.spec,
        _unsealing(asked, settings),
        _opening(asked),
        cautions.strictness(settings, application),
        settings.field_managers.people,
        Bases(settings.git if asked.operator_file else fetched_bases.settings_for(application), settings.limits),
        granted.disclosed,
        granted.destinations,
        checkouts,
        submodule_folders.of_sources(folder, checkouts, application.spec, granted, given),
        StoreGrants(application.id.namespace, given.stores) if given is not None else StoreGrants(),
    )


def _of_folder(
    asked: Asked, settings: OperatorSettings, layers: tuple[str, ...], spec: ApplicationSpec | None
) -> Target:
    """A folder without an Application. The address is the one part of a source that it has no use for."""
    above = layers or (() if spec else (".",))
    return Target(
        Path(asked.folder),
        Source.model_construct(layers=above, include=(), exclude=()),
        asked.namespace,
        grants.sinks(settings),
        settings.limits,
        None,
        spec,
        _unsealing(asked, settings),
        _opening(asked),
        cautions.strictness(settings, None),
        settings.field_managers.people,
        Bases(settings.git, settings.limits),
    )


def _opening(asked: Asked) -> SealingKeys | None:
    return sealing_keys.read(asked.sealing_key) if asked.sealing_key else None


def _rendering(asked: Asked) -> ApplicationSpec | None:
    """That of an Application which only renders what the flags name; None where they name nothing. Raises UsageError."""
    if asked.generate and asked.kustomize is None:
        raise UsageError("--generate needs --kustomize", hint="an Application says it in spec.render.kustomize")
    if asked.helm is None and (asked.values or asked.release):
        raise UsageError("--values and --release need --helm", hint="an Application says it in spec.render.helm")
    if asked.helm is not None and asked.kustomize is not None:
        raise UsageError("--helm and --kustomize exclude one another", hint="leave out one of them")
    folder = asked.kustomize if asked.kustomize is not None else asked.helm
    if folder is None:
        return None
    try:
        if asked.helm is None:
            render = Render(kustomize=validate(Kustomize, {"path": folder, "generate": asked.generate}))
        else:
            given: Tree = {"chart": {"path": folder}, "valuesFiles": [*asked.values], "releaseName": asked.release}
            render = Render(helm=validate(Helm, given))
    except Problem as problem:
        if problem.field not in {"path", "chart.path"}:
            raise UsageError(problem.cause, hint=problem.hint, field=problem.field) from None
        raise UsageError(
            "not a folder of the repository", hint="name it from the root of the repository", folder=folder
        ) from None
    return ApplicationSpec.model_construct(render=render, substitute=None)


def _operator(path: str | None) -> OperatorSettings:
    tree: Tree = None
    if path is not None:
        documents = yaml.parse(content.read(path), file=path)
        if len(documents) > 1:
            raise UsageError("the operator's file has several documents", file=path)
        tree = documents[0].tree if documents else None
    return operator.parse(tree, file=path or "")


def _application(path: str, namespace: str) -> Application:
    found = [
        document.tree
        for document in yaml.parse(content.read(path), file=path)
        if isinstance(document.tree, dict) and document.tree.get("kind") == names.KIND
    ]
    if len(found) != 1:
        raise UsageError("not exactly one Application in this file", file=path, found=len(found))
    metadata = get_object(found[0], "metadata")
    if not get_text(metadata, "namespace") and namespace:
        metadata = {**metadata, "namespace": namespace}
    return applications.parse({**found[0], "metadata": metadata})


def _unsealing(asked: Asked, settings: OperatorSettings) -> Unsealing | None:
    """As the operator's file says; without one, everything that the user gives keys for."""
    if asked.operator_file is None:
        return Unsealing(cluster_wide=True) if asked.sealing_key else None
    given = settings.sealed_secrets
    return Unsealing(given.cluster_wide, given.namespaces) if given.keys else None


def _checkouts(given: Sequence[str], spec: ApplicationSpec) -> dict[str, Path]:
    """The folders of all further sources. Raises UsageError where one is missing, or is none."""
    found = {name: Path(folder) for name, _, folder in (text.partition("=") for text in given)}
    named = [each.name for each in spec.sources]
    missing = next((name for name in named if name not in found), None)
    if missing is not None:
        raise UsageError(
            "the Application has a further source", hint="give its checkout: --source NAME=FOLDER", source=missing
        )
    wrong = next((name for name in found if name not in named or not found[name].is_dir()), None)
    if wrong is not None:
        raise UsageError(
            "neither a source of the Application nor a folder",
            hint="--source NAME=FOLDER takes a name of spec.sources",
            source=wrong,
        )
    return found


def read(wanted: Target) -> Snapshot:
    """The files of the layers, as the agent reads them from a commit. Raises SourceError, LimitError, ReadError."""
    found: list[File] = []
    refused: list[tuple[str, AgentError]] = []
    size = 0
    for part in submodule_folders.parts(wanted.sources, wanted.source.layers, wanted.modules):
        folder = wanted.checkouts.get(part.name, wanted.folder)
        selection = listing.Selection(
            part.source, file_bytes=wanted.limits.file_bytes, files=wanted.limits.objects, check=lambda: None
        )
        for layer in listing.layers(part.source):
            entries, shown = listing.placed(_entries(folder / part.within, layer), layer, part.within)
            taken, not_taken = selection.of(entries, shown, lambda entry, folder=folder: _may_be_folder(folder, entry))
            modules = wanted.modules.get(part.name, ())
            refused += [(part.path(path), error) for path, error in not_taken if path not in modules]
            size += listing.total(taken)
            if size > wanted.limits.manifest_bytes or len(found) + len(taken) > wanted.limits.objects:
                raise LimitError("the layers hold more than the agent accepts", layer=layer.path)
            number = part.numbers[layer.number]
            found += [File(part.path(entry.path), "", _bytes(folder, entry.path), number) for entry in taken]
        if not part.name:
            with refusals.said():
                listing.check_apart(wanted.checkouts, (file.path for file in found))
    return Snapshot(tuple(sorted(found, key=lambda file: file.layer)), tuple(refused))


@dataclass(frozen=True, slots=True)
class RenderedFiles:
    """The files of the work tree that a renderer may be given, as the agent has those of a commit."""

    wanted: Target
    listing: Mapping[str, TreeEntry]

    @property
    def granted(self) -> tuple[str, ...]:
        return self.wanted.bases.granted

    async def read(self, paths: Iterable[str]) -> Mapping[str, File]:
        found: dict[str, File] = {}
        for path in paths:
            data = _bytes(*self.wanted.folder_of(path))
            # the name that Git gives it, so that placeholders are those of the cluster
            named = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
            found[path] = File(path, named, data, RENDERED)
        return found

    async def base(self, base: Base) -> FetchedFiles:
        return await self.wanted.bases.files(base)


def rendered_files(wanted: Target) -> RenderedFiles:
    """Every file that is or may be committed, in whatever folder. Raises ReadError."""
    found: dict[str, TreeEntry] = {}
    roots = submodule_folders.roots(wanted.folder, wanted.checkouts, wanted.modules)
    for prefix, folder in roots.items():
        kept = work_tree_index.not_ignored(folder)
        for name, mode, size in _walk(os.fsencode(folder), b"", kept or frozenset(), hidden=True):
            if (kept is None or name in kept) and f"{prefix}{os.fsdecode(name)}/" not in roots:
                found[prefix + os.fsdecode(name)] = TreeEntry("", size, listing.KINDS.get(mode, "file"))
        if not prefix:
            with refusals.said():
                listing.check_apart(wanted.checkouts, found)
    return RenderedFiles(wanted, found)


def _bytes(folder: Path, path: str) -> bytes:
    try:
        return (folder / path).read_bytes()
    except OSError as error:
        raise ReadError("the file cannot be read", file=path, cause=system.cause(error)) from None


def _entries(folder: Path, layer: Layer) -> Iterator[tuple[Entry, AgentError | None]]:
    root = folder.resolve()
    where = root if layer.path == "." else root / layer.path
    if not where.is_dir() or where.resolve() != where:
        raise SourceError("the work tree has no such folder", hint="check the layers", layer=layer.path)
    kept = work_tree_index.not_ignored(where)
    lines = [
        b"%s blob 0 %d\t%s" % (mode.encode(), size, path)
        for path, mode, size in _walk(os.fsencode(where), b"", kept or frozenset(), hidden=False)
        if kept is None or path in kept
    ]
    return listing.parse(b"\0".join(lines), layer)


def _walk(
    folder: bytes, below: bytes, committed: frozenset[bytes], *, hidden: bool
) -> Iterator[tuple[bytes, str, int]]:
    """Files and links with mode and size; links are not followed. What begins with a dot counts where `hidden` says so."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise ReadError("the folder cannot be read", folder=os.fsdecode(folder), cause=system.cause(error)) from None
    for entry in entries:
        path = below + entry.name
        if entry.name.startswith(b".") and (not hidden or entry.name == b".git"):
            continue
        if entry.is_symlink():
            yield path, listing.SYMLINK, 0
        elif entry.is_file():
            yield path, listing.FILE, entry.stat().st_size
        elif entry.is_dir() and path in committed:
            yield path, listing.SUBMODULE, 0
        elif entry.is_dir():
            yield from _walk(entry.path, path + b"/", committed, hidden=hidden)


def _may_be_folder(folder: Path, entry: Entry) -> bool:
    """Whether a symbolic link leads to a folder, out of the work tree, or nowhere."""
    leads_to = (folder / entry.path).resolve()
    return not leads_to.is_relative_to(folder.resolve()) or not leads_to.exists() or leads_to.is_dir()
