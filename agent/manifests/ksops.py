"""Generators of KSOPS, read as what they mean: no program runs, and no file is opened.

A `ksops` object names SOPS files that are resources, and others that it makes Secrets of: see `ksops_component` for what becomes of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from posixpath import basename, dirname, normpath
from posixpath import join as joined
from typing import TYPE_CHECKING, Final

from agent.sops.kubernetes import clear
from agent.values.errors import RenderError
from agent.values.tree import get
from agent.yaml.read import manifests

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import LiteralString

    from agent.values.tree import Object, Tree

_KINDS: Final = frozenset({"ksops", "ksops-exec"})
_FUNCTION: Final = "config.kubernetes.io/function"
_METADATA: Final = frozenset({"name", "namespace", "labels", "annotations"})
_SHAPE: Final = "KSOPS' own documentation shows its shape"


@dataclass(frozen=True, slots=True)
class SecretFrom:
    """A Secret to make: `files` and `binary` are its keys with the paths of their files, `envs` files whose lines are keys."""

    metadata: Object
    type: str
    files: tuple[tuple[str, str], ...]
    binary: tuple[tuple[str, str], ...]
    envs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Generator:
    """One `ksops` object. `file` is where it is written, `data` that file; paths are from the repository's root."""

    file: str
    data: bytes = field(repr=False)
    files: tuple[str, ...]
    secrets: tuple[SecretFrom, ...]

    @property
    def whole(self) -> Iterator[str]:
        """The files that are values as a whole."""
        for each in self.secrets:
            yield from (path for _, path in (*each.files, *each.binary))

    @property
    def leaves(self) -> Iterator[str]:
        """The files that are read: manifests, and lines of keys."""
        yield from self.files
        for each in self.secrets:
            yield from each.envs

    def refusal(self, message: LiteralString, named: str, *, hint: LiteralString) -> RenderError:
        """An error at the line where something is named."""
        at = self.data.find(named.encode("utf-8", "surrogateescape"))
        line = self.data.count(b"\n", 0, max(at, 0)) + 1
        return RenderError(message, hint=hint, file=self.file, line=line)


@dataclass(frozen=True, slots=True)
class Found:
    """Of a kustomization's generators: KSOPS' own, the others as they are written, and paths of files that say what they are."""

    generators: tuple[Generator, ...]
    others: tuple[Tree, ...]
    missing: tuple[str, ...]


def find(kustomization: Object, data: bytes, *, file: str, contents: Mapping[str, bytes]) -> Found:
    """The generators of a kustomization, which `file` with this `data` is. `contents` are files of the repository.

    Raises RenderError and YamlError.
    """
    given, folder = kustomization.get("generators"), dirname(file)
    generators: list[Generator] = []
    others: list[Tree] = []
    missing: list[str] = []
    listed: set[str] = set()
    for entry in given if isinstance(given, list) else ():
        path = _path(folder, entry) if isinstance(entry, str) else ""
        name = path or entry if isinstance(entry, str) else ""
        if name in listed:
            raise Generator(file, data, (), ()).refusal(
                "a generator is listed twice", "generators", hint="list it once"
            )
        if name:
            listed.add(name)
        if isinstance(entry, str) and "\n" in entry:
            ours = read(data, file=file, folder=folder, inline=entry)
        elif path in contents:
            ours = read(contents[path], file=path, folder=folder)
        else:
            missing.append(path)
            ours = ()
        generators += ours
        others += [] if ours else [entry]
    return Found(tuple(generators), tuple(others), tuple(missing))


def read(data: bytes, *, file: str, folder: str, inline: str = "") -> tuple[Generator, ...]:
    """The generators of a file, or of a text in place of one, where it is KSOPS' own; none else. Its paths begin at `folder`.

    Raises RenderError and YamlError.
    """
    text = inline.encode("utf-8", "surrogateescape") if inline else data
    documents = [each.tree for each in manifests.parse(text, file=file, strict=False)]
    trees = [tree for document in documents for tree in clear.objects(document)]
    ours = [tree for tree in trees if isinstance(tree, dict) and is_generator(tree)]
    if not ours:
        return ()
    place = Generator(file, data, (), ())
    if len(ours) < len(trees):
        raise place.refusal(
            "a file holds ksops and other generators", "ksops", hint="write them into files of their own"
        )
    return tuple(_generator(tree, place, folder) for tree in ours)


def is_generator(tree: Object) -> bool:
    """Whether an object is one of KSOPS' own."""
    group, _, version = str(tree.get("apiVersion")).partition("/")
    return group == "viaduct.ai" and bool(version) and tree.get("kind") in _KINDS


def _generator(tree: Object, place: Generator, folder: str) -> Generator:
    _check_function(tree, place)
    files, given = _texts(tree.get("files"), place, "files"), tree.get("secretFrom")
    if tree.get("files") is None and given is None:
        raise place.refusal("a ksops generator names nothing", "ksops", hint="give it files or secretFrom")
    if not isinstance(given, list | None) or not all(isinstance(each, dict) for each in given or ()):
        raise place.refusal("secretFrom of a ksops generator is no list of maps", "secretFrom", hint=_SHAPE)
    if len(set(files)) < len(files):
        raise place.refusal("a ksops generator names a file twice", "files", hint="name it once")
    secrets = tuple(_secret_from(each, place, folder) for each in given or () if isinstance(each, dict))
    return Generator(place.file, place.data, tuple(_path(folder, each) for each in files), secrets)


def _check_function(tree: Object, place: Generator) -> None:
    """A function is only KSOPS itself: another program would give something else."""
    text = get(tree, "metadata", "annotations", _FUNCTION)
    if text is None:
        return
    asked = manifests.parse(str(text).encode("utf-8", "surrogateescape"), file=place.file, strict=False)
    function = asked[0].tree if len(asked) == 1 else None
    program = get(function, "exec", "path") if isinstance(function, dict) and function.keys() == {"exec"} else None
    if not isinstance(program, str) or basename(program) != "ksops":
        raise place.refusal(
            "a function of a ksops generator is another program than ksops",
            _FUNCTION,
            hint="write `exec: {path: ksops}`, which is not run: its files are read as KSOPS reads them",
        )


def _secret_from(tree: Object, place: Generator, folder: str) -> SecretFrom:
    metadata, kind = tree.get("metadata"), tree.get("type")
    if not isinstance(metadata, dict | None) or not isinstance(kind, str | None):
        raise place.refusal("secretFrom of a ksops generator has another shape", "secretFrom", hint=_SHAPE)
    keyed = {
        name: tuple(_keyed(each, place, folder) for each in _texts(tree.get(name), place, name))
        for name in ("files", "binaryFiles")
    }
    envs = tuple(_path(folder, each) for each in _texts(tree.get("envs"), place, "envs"))
    kept = {name: value for name, value in (metadata or {}).items() if name in _METADATA}
    return SecretFrom(kept, kind or "", keyed["files"], keyed["binaryFiles"], envs)


def _texts(given: Tree, place: Generator, name: LiteralString) -> list[str]:
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(each, str) and each for each in given):
        raise place.refusal("a field of a ksops generator is no list of paths", name, hint=_SHAPE)
    return [str(each) for each in given]


def _keyed(given: str, place: Generator, folder: str) -> tuple[str, str]:
    key, equals, path = given.partition("=")
    if "=" in path or (equals and not (key and path)):
        raise place.refusal("a file of a ksops generator is neither path nor key=path", given, hint=_SHAPE)
    return (key, _path(folder, path)) if equals else (basename(given), _path(folder, given))


def _path(folder: str, name: str) -> str:
    return normpath(joined("/", folder, name)).lstrip("/")
