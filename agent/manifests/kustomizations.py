"""Which files of a commit an overlay names, and how each of them is used: what a renderer is given, and no more.

Only what a kustomization says is read here; what it means is the renderer's. So whatever text leads to a file counts, in any field: a
renderer that gets a file too many ignores it. Files that are missing, and those that are no YAML, are the renderer's to complain of.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agent.manifests import ksops, presented, unlisted
from agent.values.errors import AgentError, LimitError, ManifestError, UnsupportedManifestError, YamlError
from agent.values.tree import get
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence

    from agent.manifests.documents import TreeEntry
    from agent.values.expressions import Source
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Object, Tree

Use: TypeAlias = Literal["read", "lines", "bytes"]
"""How a renderer takes a file: as YAML or JSON, as `NAME=value` lines, or byte by byte."""

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

FieldPath: TypeAlias = tuple[str, ...]
"""Names of fields, without the items of lists."""


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


@dataclass(slots=True)
class _Walk:
    listing: Mapping[str, TreeEntry]
    uses: dict[str, set[Use]] = field(default_factory=dict[str, "set[Use]"])
    cut: set[FieldPath] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    waiting: list[tuple[str, str, bool]] = field(default_factory=list[tuple[str, str, bool]])
    """Files to read, the folder that their paths start at, and whether they are no kustomization but configure a part of one."""
    configured: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    configuration: dict[str, bytes] = field(default_factory=dict[str, bytes])
    generating: dict[str, tuple[Object, bytes]] = field(default_factory=dict[str, "tuple[Object, bytes]"])
    """Kustomizations with generators, and their text."""
    left: int = _MOST_TEXTS

    def charge(self, texts: int) -> None:
        """Count texts. Raises LimitError for more than an overlay may have."""
        self.left -= texts
        if self.left < 0:
            raise LimitError("kustomizations have too many texts", hint="split the overlay", limit=_MOST_TEXTS)


def follow(
    folders: Sequence[str], listing: Mapping[str, TreeEntry], *, most: int, generate: bool = False
) -> Generator[frozenset[str], Mapping[str, bytes], Overlay]:
    """Yields the paths whose contents it needs next, and gives what the overlay in these folders names.

    `generate`: where the first folder has no kustomization, it has one that lists its manifests.
    Raises LimitError for more than `most` files, and UnsupportedManifestError for a symbolic link or a submodule among them.
    """
    walk = _Walk(listing)
    for folder in folders:
        _enter(walk, folder)
    listed = _listed(walk, folders[0]) if generate else {}
    for _ in range(_MOST_ROUNDS):
        if not walk.waiting:
            made = _by_ksops(walk)
            _check_count(walk, most)
            uses = {path: frozenset(uses) for path, uses in walk.uses.items()}
            return Overlay(uses, frozenset(walk.cut), made, listed)
        reading, walk.waiting = walk.waiting, []
        _check_count(walk, most)
        contents = yield frozenset(path for path, *_ in reading)
        for path, folder, configures in reading:
            try:
                _read(walk, contents[path], path, folder, configures=configures)
            except AgentError as error:
                raise error.with_facts(file=path) from None
    raise LimitError("kustomizations name one another in too long a chain", hint="join some", limit=_MOST_ROUNDS)


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
    trees = _trees(data, path, strict=configures)
    if not configures and len(trees) == 1 and isinstance(trees[0].get("generators"), list):
        walk.generating[path] = trees[0], data
    for tree in trees:
        if not ksops.is_generator(tree):
            _note(walk, tree, folder)


def _by_ksops(walk: _Walk) -> tuple[Generating, ...]:
    """What KSOPS would make, whose files are taken in."""
    made: list[Generating] = []
    for file, (tree, data) in sorted(walk.generating.items()):
        found = ksops.find(tree, data, file=file, contents=walk.configuration)
        if not found.generators:
            continue
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
        raise UnsupportedManifestError("submodules are not read", hint="copy the files that are needed", file=path)
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
    walk.cut.update(_cut_fields(tree))
    for generator in _generators_of(tree):
        for text in _texts(generator.get("files")):
            _name(walk, _path(text.partition("=")[2] or text, folder), "bytes")
        for text in (*_texts(generator.get("envs")), *_texts(generator.get("env"))):
            _name(walk, _path(text, folder), "lines")
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
    path = _path(text, folder)
    _name(walk, path, "read")
    if configures and path in walk.listing and (path, folder) not in walk.configured:
        walk.configured.add((path, folder))
        walk.waiting.append((path, folder, True))


def _name(walk: _Walk, path: str, use: Use) -> None:
    """Take in what a path leads to, if anything."""
    if path and not (use == "read" and _enter(walk, path)) and path in walk.listing:
        _use(walk, path, use)


def _path(text: str, folder: str) -> str:
    """From the repository's root, which is `/` to a renderer; empty for what leads out of it."""
    if len(text) > _LONGEST:
        return ""
    path = posixpath.normpath(posixpath.join(folder, text).lstrip("/"))
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


def _cut_fields(tree: Object) -> Iterator[FieldPath]:
    """The fields that a replacement with a `delimiter` puts parts of a text into, or takes apart."""
    given = tree.get("replacements")
    for each in given if isinstance(given, list) else [tree]:
        cuts = get(each, "source", "options", "delimiter") is not None
        targets = get(each, "targets")
        for target in targets if isinstance(targets, list) else ():
            if cuts or get(target, "options", "delimiter") is not None:
                yield from map(_field_path, _texts(get(target, "fieldPaths")))


def _field_path(text: str) -> FieldPath:
    """The names of fields in a path of kustomize: a dot may be escaped, and brackets select items. Raises ManifestError."""
    if len(text) > _LONGEST:
        raise ManifestError("a field path is too long", hint="name the field with a shorter path", limit=_LONGEST)
    steps, selecting, at = [""], False, 0
    while at < len(text):
        if selecting or text[at] == "[":
            selecting = text[at] != "]"
        elif text[at] == "\\" and at + 1 < len(text):
            at += 1
            steps[-1] += text[at]
        elif text[at] == ".":
            steps.append("")
        else:
            steps[-1] += text[at]
        at += 1
    return _named(step for step in steps if not step.isdecimal() and step not in {"", "*", "-"})


def _named(steps: Iterable[str]) -> FieldPath:
    """Data of a Secret is under either of two names."""
    found = tuple(steps)
    return ("stringData", *found[1:]) if found[:1] == ("data",) else found


def cuts(cut: Collection[FieldPath], path: Iterable[str | int]) -> bool:
    """Whether a leaf of an object is one that a replacement cut."""
    return bool(cut) and _named(step for step in path if isinstance(step, str)) in cut


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
