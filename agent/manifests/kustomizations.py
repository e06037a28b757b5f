"""Which files of a commit an overlay names, and how each of them is used: what a renderer is given, and no more.

Only what a kustomization says is read here; what it means is the renderer's. So whatever text leads to a file counts, in any field: a
renderer that gets a file too many ignores it. Files that are missing, and those that are no YAML, are the renderer's to complain of.
"""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agent.manifests import presented
from agent.values.errors import LimitError, UnsupportedManifestError, YamlError
from agent.values.tree import get
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Iterator, Mapping

    from agent.manifests.documents import TreeEntry
    from agent.values.expressions import Source
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Object, Tree

Use: TypeAlias = Literal["read", "lines", "bytes"]
"""How a renderer takes a file: as YAML or JSON, as `NAME=value` lines, or byte by byte."""

NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_GENERATORS: Final = ("secretGenerator", "configMapGenerator")
_CONFIGURING: Final = frozenset({"generators", "transformers", "validators", "replacements"})
_CONFIGURED: Final = frozenset({"SecretGenerator", "ConfigMapGenerator"})
_LONGEST: Final = 512
"""Characters of a path."""
_DEEPEST: Final = 32
_STEP: Final = re.compile(r"((?:[^.\\]|\\.)+)(?:\.|$)")
_SELECTOR: Final = re.compile(r"\[[^\]]*\]\.?|\*\.?")

FieldPath: TypeAlias = tuple[str, ...]
"""Names of fields, without the items of lists."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """The files that an overlay names, with every use of each, and the fields of which a replacement cuts text at a delimiter."""

    uses: Mapping[str, frozenset[Use]]
    cut: frozenset[FieldPath]


@dataclass(slots=True)
class _Walk:
    listing: Mapping[str, TreeEntry]
    uses: dict[str, set[Use]] = field(default_factory=dict[str, "set[Use]"])
    cut: set[FieldPath] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    waiting: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Files to read, and the folder that their paths start at."""


def follow(
    folders: Iterable[str], listing: Mapping[str, TreeEntry], *, most: int
) -> Generator[frozenset[str], Mapping[str, bytes], Overlay]:
    """Yields the paths whose contents it needs next, and gives what the overlay in these folders names.

    Raises LimitError for more than `most` files, and UnsupportedManifestError for a symbolic link or a submodule among them.
    """
    walk = _Walk(listing)
    for folder in folders:
        _enter(walk, folder)
    while walk.waiting:
        reading, walk.waiting = walk.waiting, []
        if len(walk.uses) > most:
            raise LimitError(
                "the overlay names more files than the agent accepts",
                hint="limits.objects in the operator's file is the limit",
                limit=most,
            )
        contents = yield frozenset(path for path, _ in reading)
        for path, folder in reading:
            for tree in _trees(contents[path], path):
                _note(walk, tree, folder)
    return Overlay({path: frozenset(uses) for path, uses in walk.uses.items()}, frozenset(walk.cut))


def _enter(walk: _Walk, folder: str) -> bool:
    """Take in the kustomization of a folder, if it has one."""
    found = [path for name in NAMES if (path := posixpath.join(folder, name).removeprefix("./")) in walk.listing]
    if found and folder not in walk.folders:
        walk.folders.add(folder)
        for path in found:
            _use(walk, path, "read")
            walk.waiting.append((path, folder))
    return bool(found)


def _use(walk: _Walk, path: str, use: Use) -> None:
    entry = walk.listing[path]
    if entry.kind == "link":
        raise UnsupportedManifestError(
            "symbolic links are not followed", hint="copy what it points to, or name that", file=path
        )
    if entry.kind == "submodule":
        raise UnsupportedManifestError("submodules are not read", hint="copy the files that are needed", file=path)
    walk.uses.setdefault(path, set()).add(use)


def _trees(data: bytes, path: str) -> list[Object]:
    try:
        return [each.tree for each in yaml.parse(data, file=path, strict=False) if isinstance(each.tree, dict)]
    except (YamlError, LimitError):
        return []


def _note(walk: _Walk, tree: Object, folder: str) -> None:
    """Everything that a kustomization, or what configures one of its parts, names."""
    walk.cut.update(_cut_fields(tree))
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
    if "\n" not in text:
        if _name(walk, text, folder, "read") and configures:
            walk.waiting.append((_path(text, folder), folder))
    elif configures:
        for inline in _trees(text.encode("utf-8", "surrogateescape"), ""):
            _note(walk, inline, folder)


def _name(walk: _Walk, text: str, folder: str, use: Use) -> bool:
    """Take in what a text leads to, if it is a path; whether it is that of a file that is new."""
    path = _path(text, folder)
    if not path or (use == "read" and _enter(walk, path)) or path not in walk.listing:
        return False
    new = use not in walk.uses.get(path, ())
    _use(walk, path, use)
    return new


def _path(text: str, folder: str) -> str:
    """From the repository's root; empty for what leads out of it."""
    if len(text) > _LONGEST or text.startswith("/"):
        return ""
    path = posixpath.normpath(posixpath.join(folder, text))
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
    return tuple(
        step.replace("\\.", ".")
        for step in _STEP.findall(_SELECTOR.sub("", text))
        if not step.isdecimal() and step != "-"
    )


def cuts(cut: Collection[FieldPath], path: Iterable[str | int]) -> bool:
    """Whether a leaf of an object is one that a replacement cut."""
    return bool(cut) and tuple(step for step in path if isinstance(step, str)) in cut


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
