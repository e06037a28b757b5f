"""Values of a chart that Secrets and ConfigMaps of the cluster hold, as YAML or as the text of one value.

Those of a Secret stay sealed, leaf by leaf, each known by a keyed fingerprint as variables are; keys, null and empty text are in the clear.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from agent.desired import live_variables
from agent.desired.live_variables import MOST_CHARACTERS, MOST_KEYS, LiveKey, LiveVariables
from agent.manifests import references
from agent.values import derive, placeholders
from agent.values.errors import AgentError, ChartError, ConfigError, LimitError, SecretValueError
from agent.values.secret import Sealed, Secret
from agent.values.tree import format_path, get, get_object, map_leaves
from agent.yaml.limits import Limits
from agent.yaml.read import manifests as yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.api.helm import HelmValuesFrom
    from agent.desired.live_variables import Answer
    from agent.values.fingerprint import Fingerprinter
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Leaf, Object, Tree

_LIMITS: Final = Limits.served(size=MOST_CHARACTERS, depth=64)


def of(
    given: Iterable[tuple[HelmValuesFrom, Answer]], namespace: str, fingerprinter: Fingerprinter, uid: str
) -> LiveVariables:
    """The values of objects in their order, as `trees`. `uid` is the Application's.

    Raises ConfigError for an object or key that is needed and not there or not known, ChartError for what is no map of values, for a
    reference and for a name that looks like a placeholder, SecretValueError for what is no YAML, LimitError.
    """
    reader = _Reader(fingerprinter, uid, {}, {}, {})
    trees: list[tuple[str, Object]] = []
    for asked, answer in given:
        key = live_variables.object_of(asked, namespace)
        try:
            leaf = _leaf(asked, answer)
            if leaf is not None:
                at = LiveKey(key, asked.key, ())
                trees.append(
                    (str(key), _placed(asked.target_path, reader.tree(at, leaf, whole=bool(asked.target_path))))
                )
        except AgentError as error:
            raise error.with_facts(object=key, key=asked.key) from None
    version = fingerprinter.tree(uid, "values", [tree for _, tree in trees])
    return LiveVariables(
        sources=reader.sources, keys=reader.keys, values=reader.values, version=version, trees=tuple(trees)
    )


def joined(variables: LiveVariables, values: LiveVariables) -> LiveVariables:
    """Variables, and values of a chart."""
    return replace(
        variables,
        sources={**variables.sources, **values.sources},
        keys={**variables.keys, **values.keys},
        values={**variables.values, **values.values},
        version="+".join(each for each in (variables.version, values.version) if each),
        trees=values.trees,
    )


def opened(tree: Object | None, at: LiveKey) -> Secret | None:
    """A value of an object that was read again; None where it has none any more."""
    leaf, path = get_object(tree, "data").get(at.key), at.path or ()
    if not isinstance(leaf, Secret):
        return None
    try:
        found = get(_read(at.object.kind, leaf), *path) if path else _text(at.object.kind, leaf)
    except AgentError:
        return None
    return found if isinstance(found, Secret) else None


def _leaf(asked: HelmValuesFrom, answer: Answer) -> str | Secret | None:
    """What the key holds; None where it may be missing and is."""
    if isinstance(answer, str):
        raise ConfigError(
            "values of the cluster are not known, since the object that has them was not read",
            hint="name the cluster with --context or --kubeconfig; you need the right to read the object",
        )
    leaf = get_object(answer, "data").get(asked.key)
    if isinstance(leaf, str | Secret):
        return leaf
    if asked.optional:
        return None
    raise ConfigError(
        "the object with values does not exist, or has no such key",
        hint="create it, or set optional: true where spec.render.helm.valuesFrom names it",
    )


def _placed(target: str, tree: Tree) -> Object:
    """A tree of values below the path of one. Raises ChartError."""
    for step in reversed(target.split(".") if target else ()):
        tree = {step: tree}
    if isinstance(tree, dict):
        return tree
    raise ChartError(
        "values are not a map", hint="write name: value, or set targetPath where spec.render.helm.valuesFrom names it"
    )


def _text(kind: str, leaf: Secret) -> Secret:
    return derive.text(derive.base64_decode(leaf) if kind == "Secret" else leaf)


def _read(kind: str, leaf: Secret) -> Tree:
    return derive.parsed(_text(kind, leaf), _parsed)


def _parsed(text: str) -> Tree:
    """Raises YamlError, LimitError."""
    found = yaml.parse(text.encode(), file="", limits=_LIMITS, strict=False)
    return found[0].tree if len(found) == 1 else {} if not found else [each.tree for each in found]


@dataclass(slots=True)
class _Reader:
    fingerprinter: Fingerprinter
    uid: str
    sources: dict[Placeholder, Sealed]
    keys: dict[str, LiveKey]
    values: dict[str, Secret]
    leaves: int = MOST_KEYS
    characters: int = MOST_CHARACTERS

    def tree(self, at: LiveKey, given: str | Secret, *, whole: bool) -> Tree:
        """Values with placeholders for those that are sealed. `whole`: the text is one."""
        self._take(len(given) if isinstance(given, str) else derive.size(given))
        if isinstance(given, Secret):
            tree = _text(at.object.kind, given) if whole else _read(at.object.kind, given)
        else:
            tree = given if whole else _clear(given)
        _check_keys(tree)
        return map_leaves(tree, lambda path, leaf: self._leaf(replace(at, path=path), leaf))

    def _leaf(self, at: LiveKey, leaf: Leaf) -> Leaf:
        self.leaves -= 1
        self._take(0)
        if isinstance(leaf, str | Secret) and references.has_reference(leaf):
            raise ChartError(
                "a value of an object in the cluster holds a reference to a store, and only the Application or Git may name one",
                hint="put the reference into spec.render.helm.values or a file in Git, and remove it from the object",
                value=format_path(at.path or ()),
            )
        if isinstance(leaf, str):
            placeholders.refuse(leaf)
        if not isinstance(leaf, Secret):
            return leaf
        if not derive.size(leaf):
            return ""
        found = live_variables.placeholder_of(at, leaf, self.fingerprinter, self.uid)
        self.sources[found] = Sealed(found, leaf.label, "live")
        self.keys[found] = at
        self.values[found] = leaf
        return found

    def _take(self, characters: int) -> None:
        self.characters -= characters
        if self.leaves < 0 or self.characters < 0:
            raise LimitError(
                "spec.render.helm.valuesFrom names more values than the agent takes, or longer ones",
                hint="keep values that are no secret in a file in Git",
                values=MOST_KEYS,
                characters=MOST_CHARACTERS,
            )


def _clear(text: str) -> Tree:
    try:
        return _parsed(text)
    except AgentError:
        raise SecretValueError("a value is not the YAML that it should be") from None


def _check_keys(tree: Tree) -> None:
    """Keys are in the clear, so none may look like a placeholder."""
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            for name in each:
                placeholders.refuse(name)
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
