"""What KSOPS' generators make, as a component before a kustomization's own.

There the kustomization meets it where it would meet what the program prints. An object that asks to be merged with another one, or to replace
it, is a patch, which gives what kustomize makes of such an object of a generator. Secrets have values where KSOPS writes them, so that names
that are made of their content are the same.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from posixpath import basename, relpath
from posixpath import join as joined
from typing import TYPE_CHECKING, Final, TypeVar

from agent.sops.kubernetes import clear
from agent.values import godotenv, placeholders
from agent.values.errors import LimitError, RenderError
from agent.values.expressions import Expression
from agent.values.tree import get_object, get_text
from agent.yaml.read import manifests

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agent.manifests.ksops import Generator, SecretFrom
    from agent.values.expressions import Source
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Object, Tree

T = TypeVar("T", str, bytes)
MOST_BYTES: Final = 16 * 1024 * 1024
"""Of what is made for one overlay: a generator may name one file as often as it likes."""
_HASH: Final = "kustomize.config.k8s.io/needs-hash"
_BEHAVIOR: Final = "kustomize.config.k8s.io/behavior"
_HASHED: Final = "internal.config.kubernetes.io/needsHashSuffix"
"""What kustomize itself notes on an object whose name gets a suffix."""
_BOOLEANS: Final = {**dict.fromkeys(("1", "t", "true"), True), **dict.fromkeys(("0", "f", "false"), False)}
_MERGED: Final = {("v1", "Secret"): ("data", "stringData"), ("v1", "ConfigMap"): ("data", "binaryData")}
_IN_CLEAR: Final = "leave metadata in clear text: agent encrypt does, and sops with an encrypted_regex"
_NAME: Final = re.compile(r"[\w.]+")


@dataclass(slots=True)
class Component:
    """What a kustomization gets in the place of its generators: a folder of files, and for each the file that it is made of."""

    folder: str
    files: dict[str, bytes] = field(default_factory=dict[str, bytes], repr=False)
    origins: dict[str, str] = field(default_factory=dict[str, str])
    resources: list[Tree] = field(default_factory=list["Tree"])
    patches: list[Tree] = field(default_factory=list["Tree"])

    @property
    def kustomization(self) -> Object:
        return {
            "apiVersion": "kustomize.config.k8s.io/v1alpha1",
            "kind": "Component",
            "resources": self.resources,
            "patches": self.patches,
        }


@dataclass(slots=True)
class Writer:
    """Makes components of generators.

    `leaves` and `whole` are SOPS files as a renderer sees them: with a placeholder for each value, and as one placeholder. To `sources` is added
    what other placeholders stand for. `asking` are files with an object that asks for a hash or a behavior.
    """

    leaves: Mapping[str, bytes]
    whole: Mapping[str, str]
    sources: dict[Placeholder, Source]
    left: int = MOST_BYTES
    read: dict[str, list[Tree]] = field(default_factory=dict[str, "list[Tree]"])
    asking: set[str] = field(default_factory=set[str])
    lines: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def component(self, generators: Iterable[Generator], folder: str) -> Component:
        """The component in `folder`, where nothing else is. Raises RenderError, YamlError and LimitError."""
        made = Component(folder)
        for generator in generators:
            for path in generator.files:
                trees = self._trees(path, generator)
                if path in self.asking:
                    self._add(made, trees, path, generator)
                else:
                    made.resources.append(relpath(f"/{path}", f"/{folder}"))
            self._add(made, [self._secret(each, generator) for each in generator.secrets], generator.file, generator)
        made.files[joined(folder, "kustomization.yaml")] = self._written(made.kustomization)
        return made

    def _trees(self, path: str, generator: Generator) -> list[Tree]:
        """The objects of a file, which many generators may name."""
        if path not in self.read:
            documents = manifests.parse(self._of(self.leaves, path, generator), file=path, strict=False)
            self.read[path] = [tree for document in documents for tree in clear.objects(document.tree)]
            if any(_HASH in given or _BEHAVIOR in given for given in map(_annotations, self.read[path])):
                self.asking.add(path)
        return self.read[path]

    def _add(self, made: Component, trees: Iterable[Tree], origin: str, generator: Generator) -> None:
        for tree in trees:
            name = f"{len(made.files)}.yaml"
            shown, patches = _as_asked(tree, generator) if isinstance(tree, dict) else (tree, False)
            made.files[joined(made.folder, name)] = self._written(shown)
            made.origins[joined(made.folder, name)] = origin
            if patches:
                made.patches.append({"path": name})
            else:
                made.resources.append(name)

    def _secret(self, asked: SecretFrom, generator: Generator) -> Object:
        """As the program prints it: text under `stringData`, bytes under `data`."""
        if not get_text(asked.metadata, "name"):
            hint = "give it metadata.name"
            raise generator.refusal("a Secret of a ksops generator has no name", "secretFrom", hint=hint)
        texts: Object = {key: self._of(self.whole, path, generator) for key, path in asked.files}
        for path in asked.envs:
            if path not in self.lines:
                self.lines[path] = dict(self._lines(path, generator))
            texts.update(self.lines[path])
        made: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": asked.metadata}
        if asked.type:
            made["type"] = asked.type
        if texts:
            made["stringData"] = texts
        if asked.binary:
            made["data"] = {
                key: base64.b64encode(self._of(self.whole, path, generator).encode()).decode()
                for key, path in asked.binary
            }
        return made

    def _lines(self, path: str, generator: Generator) -> Iterator[tuple[str, str]]:
        if not path.endswith(".env"):
            raise generator.refusal(
                "an env file of a ksops generator has another suffix than .env, which sops goes by",
                basename(path),
                hint="rename it, and encrypt it again",
            )
        text = self._of(self.leaves, path, generator).decode("utf-8", "surrogateescape")
        for number, line in enumerate(text.split("\n"), 1):
            key, equals, value = line.partition("=")
            key = key.strip().removeprefix("export ").lstrip()
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if not equals or not _NAME.fullmatch(key):
                raise RenderError(
                    "KSOPS does not read this line of an .env file", hint="write KEY=value", file=path, line=number
                )
            try:
                yield key, self._value(value)
            except godotenv.UnreadableError as error:
                raise RenderError(error.why, hint=godotenv.HINT, file=path, line=number) from None

    def _value(self, text: str) -> str:
        if not placeholders.is_marked(text):
            return godotenv.value(text)
        expression = Expression("godotenv", (text,))
        self.sources[expression.placeholder] = expression
        return expression.placeholder

    def _of(self, given: Mapping[str, T], path: str, generator: Generator) -> T:
        if path not in given:
            raise generator.refusal(
                "a file of a ksops generator is not there, or not encrypted with sops",
                basename(path),
                hint="encrypt it with `agent encrypt`; what is clear belongs into resources",
            )
        return given[path]

    def _written(self, tree: Tree) -> bytes:
        written = json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogateescape")
        self.left -= len(written)
        if self.left < 0:
            hint = "name each file once"
            raise LimitError(
                "the output of KSOPS generators is larger than the agent accepts", hint=hint, limit=MOST_BYTES
            )
        return written


def replaced(kustomization: Object, others: Sequence[Tree], component: str) -> str:
    """The kustomization with the rest of its generators, and the component before those that it has: they change what generators make."""
    given = kustomization.get("components")
    components = [component, *(given if isinstance(given, list) else ())]
    return json.dumps({**kustomization, "generators": [*others], "components": components}, ensure_ascii=False)


def _annotations(tree: Tree) -> Object:
    return get_object(tree, "metadata", "annotations") if isinstance(tree, dict) else {}


def _as_asked(tree: Object, generator: Generator) -> tuple[Object, bool]:
    """An object without what it asks of a generator, and whether it is a patch of the one that stands there."""
    annotations = dict(_annotations(tree))
    hashed, behavior = str(annotations.pop(_HASH, "false")).lower(), annotations.pop(_BEHAVIOR, "")
    if hashed not in _BOOLEANS:
        raise generator.refusal(
            "an object of a ksops generator has a needs-hash that is neither true nor false",
            "ksops",
            hint='write kustomize.config.k8s.io/needs-hash: "true"',
        )
    if placeholders.is_marked(str(behavior)):
        raise generator.refusal("an object of a ksops generator has an encrypted behavior", "ksops", hint=_IN_CLEAR)
    patches = behavior in {"merge", "replace"}
    if patches is not _BOOLEANS[hashed]:  # of two objects that become one, both have to ask for a suffix
        annotations[_HASHED] = None if patches else "enabled"
    metadata = {name: value for name, value in get_object(tree, "metadata").items() if name != "annotations"}
    if annotations:
        metadata["annotations"] = annotations
    bare: Object = {**tree, "metadata": metadata}
    return (_patch(bare, generator, replaces=behavior == "replace"), True) if patches else (bare, False)


def _patch(tree: Object, generator: Generator, *, replaces: bool) -> Object:
    """What kustomize does with such an object of a generator: labels and annotations join those that stand there, data does or not."""
    fields = _MERGED.get((str(tree.get("apiVersion")), str(tree.get("kind"))))
    if fields is None:
        raise generator.refusal(
            "only a v1 Secret or ConfigMap of a ksops generator is merged with another one, or replaces it",
            "ksops",
            hint="write a patch",
        )
    patch: Object = {"type": None, "immutable": None, **tree}
    if replaces:
        given = {name: get_object(tree, name) for name in fields}
        return {**patch, **{name: {**each, "$patch": "replace"} if each else None for name, each in given.items()}}
    gone = dict.fromkeys(get_object(tree, "data"))  # what stands there as text would hide it
    texts = {**gone, **get_object(tree, "stringData")}
    return {**patch, "stringData": texts} if texts and "stringData" in fields else patch
