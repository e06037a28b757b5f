"""Which files of a commit an overlay names, and how each of them is used: what a renderer is given, and no more.

Only what a kustomization says is read here; what it means is the renderer's. So whatever text leads to a file counts, in any field: a
renderer that gets a file too many ignores it. Files that are missing, and those that are no YAML, are the renderer's to complain of.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agent.manifests import cut_fields, ksops, presented, remote_bases, unlisted
from agent.manifests.remote_bases import Allowed, Base, Named
from agent.values.errors import (
    AgentError,
    LimitError,
    RemoteBaseError,
    UnsupportedManifestError,
    YamlError,
)
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from agent.manifests.cut_fields import FieldPath
    from agent.manifests.documents import TreeEntry
    from agent.values.expressions import Source
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Object, Tree

Use: TypeAlias = Literal["read", "lines", "bytes", "values", "chart"]
"""How a renderer takes a file: as YAML or JSON, as `NAME=value` lines, or byte by byte. Of a chart, as its values, or byte by byte: a
template, or what one may read, in which not all that looks like a reference needs to be one."""

_GENERATORS: Final = ("secretGenerator", "configMapGenerator")
_CONFIGURING: Final = frozenset({"generators", "transformers", "validators", "replacements"})
_CONFIGURED: Final = frozenset({"SecretGenerator", "ConfigMapGenerator"})
_LONGEST: Final = 512
"""Characters of a path."""
_DEEPEST: Final = 32
_MOST_TEXTS: Final = 200_000
"""Of all kustomizations of an overlay, each of which may be a path."""
_BYTES_OF_A_TEXT: Final = 64
"""What configures a part is read once for each folder that names it, and counts as a text for so many bytes each time."""
_MOST_ROUNDS: Final = 64
"""Kustomizations that name one another in a chain."""

_NO_BASES: Final = Allowed()


@dataclass(frozen=True, slots=True)
class Generating:
    """A kustomization with generators of KSOPS, and `others` that it names beside them, as they are written."""

    file: str
    generators: tuple[ksops.Generator, ...]
    others: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Overlay:
    """The files that an overlay names, with every use of each, and the fields of which a replacement cuts text at a delimiter."""

    uses: Mapping[str, frozenset[Use]]
    cut: frozenset[FieldPath]
    ksops: tuple[Generating, ...] = ()
    listed: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """The kustomization of a folder that has none, by the path that it would have."""
    bases: tuple[Base, ...] = ()
    remote: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, "Mapping[str, str]"])
    """By kustomization, the addresses in it that name bases, and the folders that these are in."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Files whose contents a walk needs next, and bases whose files it has to find in its listing then."""

    paths: frozenset[str]
    bases: tuple[Base, ...] = ()


@dataclass(slots=True)
class _Walk:
    listing: Mapping[str, TreeEntry]
    allowed: Allowed
    uses: dict[str, set[Use]] = field(default_factory=dict[str, "set[Use]"])
    cut: set[FieldPath] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    waiting: list[tuple[str, str, bool]] = field(default_factory=list[tuple[str, str, bool]])
    """Files to read, the folder that their paths start at, and whether they are no kustomization but configure a part of one."""
    configured: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    configuration: dict[str, bytes] = field(default_factory=dict[str, bytes])
    generating: dict[str, tuple[Object, bytes]] = field(default_factory=dict[str, "tuple[Object, bytes]"])
    """Kustomizations with generators, and their text."""
    bases: dict[Base, int] = field(default_factory=dict[Base, int])
    """How many others each is named through."""
    remote: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    arriving: list[tuple[Named, RemoteBaseError]] = field(default_factory=list[tuple[Named, RemoteBaseError]])
    """Folders of bases to take in, and what is wrong where one has no kustomization."""
    left: int = _MOST_TEXTS

    def charge(self, texts: int) -> None:
        """Count texts. Raises LimitError for more than an overlay may have."""
        self.left -= texts
        if self.left < 0:
            raise LimitError("kustomizations have too many texts", hint="split the overlay", limit=_MOST_TEXTS)


def follow(
    folders: Sequence[str],
    listing: Mapping[str, TreeEntry],
    *,
    most: int,
    generate: bool = False,
    allowed: Allowed = _NO_BASES,
) -> Generator[Wanted, Mapping[str, bytes], Overlay]:
    """Yields what it needs next, is sent the contents of these paths, and gives what the overlay in these folders names.

    `generate`: where the first folder has no kustomization, it has one that lists its manifests. The files of bases are in `listing` by the
    time that the contents are sent. Raises LimitError for more than `most` files, UnsupportedManifestError for a symbolic link or a submodule
    among them, and RemoteBaseError.
    """
    walk = _Walk(listing, allowed)
    for folder in folders:
        _enter(walk, folder)
    listed = _listed(walk, folders[0]) if generate else {}
    for _ in range(_MOST_ROUNDS):
        if not walk.waiting and not walk.arriving:
            made = _by_ksops(walk)
            _check_count(walk, most)
            uses = {path: frozenset(uses) for path, uses in walk.uses.items()}
            return Overlay(uses, frozenset(walk.cut), made, listed, tuple(walk.bases), walk.remote)
        reading, walk.waiting = walk.waiting, []
        arriving, walk.arriving = walk.arriving, []
        _check_count(walk, most)
        bases = tuple({named.base: None for named, _ in arriving})
        contents = yield Wanted(frozenset(path for path, *_ in reading), bases)
        for path, folder, configures in reading:
            try:
                _read(walk, contents[path], path, folder, configures=configures)
            except AgentError as error:
                raise error if "file" in error.facts else error.with_facts(file=path) from None
        for named, error in arriving:
            if not _enter(walk, named.folder):
                raise error
    raise LimitError("the chain of kustomizations is too long", hint="join some", limit=_MOST_ROUNDS)


def _check_count(walk: _Walk, most: int) -> None:
    if len(walk.uses) > most:
        raise LimitError(
            "the overlay names more files than the agent accepts",
            hint="limits.objects in the operator's file is the limit",
            limit=most,
        )


def _read(walk: _Walk, data: bytes, path: str, folder: str, *, configures: bool) -> None:
    """A kustomization, or a file that configures a part of one."""
    if configures:
        walk.configuration[path] = data
        walk.charge(len(data) // _BYTES_OF_A_TEXT)
    root = remote_bases.root_of(folder)
    # what cannot be read might name a file outside of its repository
    trees = _trees(data, path, strict=configures or bool(root))
    if not configures:
        _name_bases(walk, trees, data, path, folder)
    if not configures and len(trees) == 1 and isinstance(trees[0].get("generators"), list):
        walk.generating[path] = trees[0], data
    for tree in trees:
        if not ksops.is_generator(tree):
            _note(walk, tree, folder)


def _name_bases(walk: _Walk, trees: Sequence[Object], data: bytes, file: str, folder: str) -> None:
    """The remote bases that a kustomization names, each of which waits to be fetched."""
    given = {text for tree in trees for name in remote_bases.FIELDS for text in _texts(tree.get(name))}
    for text in sorted(given):
        try:
            named = walk.allowed.named(text)
        except RemoteBaseError as error:
            raise error.with_facts(file=file, line=_line_of(text, data)) from None
        if named is None:
            continue
        walk.charge(len(data) // _BYTES_OF_A_TEXT)
        line = _line_of(text, data)
        depth = walk.bases.setdefault(named.base, _depth(walk, folder) + 1)
        if len(walk.bases) > remote_bases.MOST or depth > remote_bases.DEEPEST:
            limit = remote_bases.MOST if len(walk.bases) > remote_bases.MOST else remote_bases.DEEPEST
            raise LimitError(
                "an overlay names too many remote bases, directly or through others",
                hint="vendor some: copy what they hold into this repository",
                file=file,
                line=line,
                limit=limit,
            )
        hint = "name a folder of that commit that has a kustomization.yaml"
        missing = RemoteBaseError("the remote base has no kustomization", hint=hint, address=text)
        walk.remote.setdefault(file, {})[text] = posixpath.relpath(f"/{named.folder}", f"/{folder}")
        walk.arriving.append((named, missing.with_facts(file=file, line=line)))


def _line_of(text: str, data: bytes) -> int:
    return data.count(b"\n", 0, max(data.find(text.encode("utf-8", "surrogateescape")), 0)) + 1


def _depth(walk: _Walk, folder: str) -> int:
    """How many bases lead to a folder."""
    root = remote_bases.root_of(folder)
    return next((depth for base, depth in walk.bases.items() if base.folder == root), 0) if root else 0


def _by_ksops(walk: _Walk) -> tuple[Generating, ...]:
    """What KSOPS would make, whose files are taken in."""
    made: list[Generating] = []
    for file, (tree, data) in sorted(walk.generating.items()):
        found = ksops.find(tree, data, file=file, contents=walk.configuration)
        if not found.generators:
            continue
        if remote_bases.root_of(file):
            raise RemoteBaseError(
                "a remote base has generators of KSOPS, but keys open only files of the Application's own repository",
                hint="put the encrypted files into the Application's own repository, and name them in its overlay",
                file=file,
            )
        made.append(Generating(file, found.generators, found.others))
        for generator in found.generators:
            walk.charge(len(generator.secrets))
            named: dict[Use, Iterable[str]] = {
                "read": generator.files,
                "lines": (path for each in generator.secrets for path in each.envs),
                "bytes": generator.whole,
            }
            for use, paths in named.items():
                for path in paths:
                    walk.charge(1)
                    if path in walk.listing:
                        _use(walk, path, use)
    return tuple(made)


def _enter(walk: _Walk, folder: str) -> bool:
    """Take in the kustomization of a folder, if it has one."""
    found = [
        path for name in unlisted.NAMES if (path := posixpath.join(folder, name).removeprefix("./")) in walk.listing
    ]
    if found and folder not in walk.folders:
        walk.folders.add(folder)
        for path in found:
            _use(walk, path, "read")
            walk.waiting.append((path, folder, False))
    return bool(found)


def _kustomizations(walk: _Walk, folder: str) -> list[str]:
    paths = (posixpath.join(folder, name).removeprefix("./") for name in unlisted.NAMES)
    return [path for path in paths if path in walk.listing]


def _listed(walk: _Walk, folder: str) -> dict[str, bytes]:
    if folder in walk.folders:
        return {}
    resources = unlisted.resources(walk.listing, folder)
    for path in resources:
        if not _enter(walk, path):
            _use(walk, path, "read")
    path = posixpath.normpath(posixpath.join(folder, unlisted.NAMES[0]))
    return {path: unlisted.kustomization(resources, folder)} if resources else {}


def _use(walk: _Walk, path: str, use: Use) -> None:
    entry = walk.listing[path]
    if entry.kind == "link":
        raise UnsupportedManifestError(
            "symbolic links are not followed", hint="copy what it points to, or name that", file=path
        )
    if entry.kind == "submodule":
        raise UnsupportedManifestError(
            "submodules are not read",
            hint="name its repository in submodules of the source, or copy the files that are needed",
            file=path,
        )
    walk.uses.setdefault(path, set()).add(use)


def _trees(data: bytes, path: str, *, strict: bool = False) -> list[Object]:
    """The maps of a file, and those in a list of them. `strict`: what cannot be read is an error, since it might be a replacement."""
    try:
        found = [each.tree for each in yaml.parse(data, file=path, strict=False)]
    except (YamlError, LimitError):
        if strict:
            raise
        return []
    items = (item for tree in found for item in (tree if isinstance(tree, list) else [tree]))
    return [item for item in items if isinstance(item, dict)]


def _note(walk: _Walk, tree: Object, folder: str) -> None:
    """Everything that a kustomization, or what configures one of its parts, names."""
    walk.cut.update(cut_fields.of(tree))
    for generator in _generators_of(tree):
        for text in _texts(generator.get("files")):
            _name(walk, text.partition("=")[2] or text, folder, "bytes")
        for text in (*_texts(generator.get("envs")), *_texts(generator.get("env"))):
            _name(walk, text, folder, "lines")
    for key, value in tree.items():
        if key not in _GENERATORS:
            for text in _texts(value):
                _follow(walk, text, folder, configures=key in _CONFIGURING)


def _follow(walk: _Walk, text: str, folder: str, *, configures: bool) -> None:
    """Take in what a text leads to. One that `configures` a part is read on, or is the configuration itself."""
    walk.charge(1)
    if "\n" in text:
        for inline in _trees(text.encode("utf-8", "surrogateescape"), "") if configures else ():
            if not ksops.is_generator(inline):
                _note(walk, inline, folder)
        return
    path = _name(walk, text, folder, "read")
    if configures and path in walk.listing and (path, folder) not in walk.configured:
        walk.configured.add((path, folder))
        walk.waiting.append((path, folder, True))


def _name(walk: _Walk, text: str, folder: str, use: Use) -> str:
    """Take in what a text leads to from a folder, if anything: the path. Raises RemoteBaseError where that is outside of a base."""
    root = remote_bases.root_of(folder)
    path = _path(text, folder, clamped=bool(root))
    if not path:
        return ""
    if remote_bases.is_outside(path, root):
        if path in walk.listing or _kustomizations(walk, path):
            raise RemoteBaseError(
                "a remote base names a file outside of its repository",
                hint="name another base, or vendor this one",
                path=path,
            )
    elif len(path) > _LONGEST:
        return ""
    elif not (use == "read" and _enter(walk, path)) and path in walk.listing:
        _use(walk, path, use)
    return path


def _path(text: str, folder: str, *, clamped: bool) -> str:
    """From the repository's root, which is `/` to a renderer; empty for what leads out of it, or `clamped` to the root as a renderer has it."""
    path = posixpath.join(folder, text).lstrip("/")
    if clamped:
        return posixpath.normpath(f"/{path}").lstrip("/") or "."
    path = posixpath.normpath(path)
    return "" if path == ".." or path.startswith("../") else path


def _generators_of(tree: Object) -> Iterator[Object]:
    if tree.get("kind") in _CONFIGURED:
        yield tree
    for name in _GENERATORS:
        given = tree.get(name)
        for each in given if isinstance(given, list) else ():
            if isinstance(each, dict):
                yield each


def _texts(tree: Tree, depth: int = _DEEPEST) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif depth > 0:
        for each in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
            yield from _texts(each, depth - 1)


def with_literals(data: bytes, sources: dict[Placeholder, Source], *, file: str) -> bytes:
    """A kustomization whose generators' literals refer to a store, with placeholders instead. Raises ReferenceSyntaxError."""
    if b"vault://" not in data:
        return data
    trees = _trees(data, file)
    changed = False
    for tree in trees:
        for generator in _generators_of(tree):
            literals = generator.get("literals")
            if isinstance(literals, list):
                generator["literals"] = [_literal(each, sources) for each in literals]
                changed |= generator["literals"] != literals
    return b"\n---\n".join(json.dumps(tree, ensure_ascii=False).encode() for tree in trees) if changed else data


def _literal(given: Tree, sources: dict[Placeholder, Source]) -> Tree:
    if not isinstance(given, str):
        return given
    key, equals, value = given.partition("=")
    quoted = len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]
    return key + equals + presented.text(value[1:-1] if quoted else value, sources, ("literals", key))
