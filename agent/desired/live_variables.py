"""Variables that Secrets and ConfigMaps of the cluster hold: each key is one, as for `postBuild.substituteFrom` of Flux.

A value of a Secret stays sealed. It has no ciphertext to be known by, so its placeholder is of a keyed fingerprint, and it is read again
when it is opened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from agent.manifests import expansion, references
from agent.manifests.kinds import Resource
from agent.values import derive, placeholders
from agent.values.errors import AgentError, ConfigError, LimitError, SubstitutionError
from agent.values.ids import ObjectId
from agent.values.secret import Sealed, Secret
from agent.values.tree import get_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeAlias

    from agent.api.helm import HelmValuesFrom
    from agent.api.render import VariablesFrom
    from agent.manifests.charts import FoundChart
    from agent.values.fingerprint import Fingerprinter
    from agent.values.placeholders import Placeholder
    from agent.values.tree import Object, Path, Tree

    Answer: TypeAlias = Object | Literal["unread"] | None
    """An object as it was read, or None for one that is not there."""

RESOURCES: Final = {
    "Secret": Resource("", "v1", "Secret", "secrets", namespaced=True),
    "ConfigMap": Resource("", "v1", "ConfigMap", "configmaps", namespaced=True),
}
MOST_KEYS: Final = 1024
MOST_CHARACTERS: Final = 1024 * 1024
"""Of all values together, as the API server has them: a Secret's in base64."""


@dataclass(frozen=True, slots=True)
class LiveKey:
    """A key of a Secret, or of a ConfigMap that an Application put a secret into.

    `path`: it has values of a chart, of which this is one; the empty path is the key's whole text. None: it is a variable.
    """

    object: ObjectId
    key: str
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class LiveVariables:
    """`clear` and `sealed` are by variable; of each placeholder there, `sources` has the leaf, `keys` where it is from, `values` what it is.

    `chart` is that of a server, where the Application names one. `version` is another one where any value is, or the chart, `unread` names
    the objects that were not read: what they set is not known. `trees` are values of a chart, with placeholders, a later one above those
    before, each with the name of what it is from.
    """

    clear: Mapping[str, str] = field(default_factory=dict[str, str])
    sealed: Mapping[str, Placeholder] = field(default_factory=dict[str, "Placeholder"])
    sources: Mapping[Placeholder, Sealed] = field(default_factory=dict["Placeholder", Sealed])
    keys: Mapping[str, LiveKey] = field(default_factory=dict[str, LiveKey])
    values: Mapping[str, Secret] = field(default_factory=dict[str, Secret], repr=False)
    version: str = ""
    unread: tuple[str, ...] = ()
    chart: FoundChart | None = None
    trees: tuple[tuple[str, Object], ...] = ()


NONE: Final = LiveVariables()


def object_of(asked: VariablesFrom | HelmValuesFrom, namespace: str) -> ObjectId:
    """What a source names."""
    return ObjectId("", asked.kind, namespace, asked.name)


def of(
    given: Iterable[tuple[VariablesFrom, Answer]], namespace: str, fingerprinter: Fingerprinter, uid: str
) -> LiveVariables:
    """The variables of objects; a later one wins.

    What objects set before one that was not read is not known either. `uid` is the Application's. Raises ConfigError for one that is needed and is not there, SubstitutionError for a key that is no variable's
    name and for a value with a reference, LimitError.
    """
    clear: dict[str, str] = {}
    sealed: dict[str, tuple[LiveKey, Secret]] = {}
    unread: dict[str, None] = {}
    room = _Room()
    for asked, tree in given:
        key = object_of(asked, namespace)
        if tree == "unread":
            unread[str(key)] = None
            clear.clear()
            sealed.clear()
            continue
        try:
            for name, leaf in _data(asked, tree).items():
                room.take(name, leaf)
                value = _value(asked.kind, leaf)
                _refuse_reference(name, value)
                clear.pop(name, None)
                sealed.pop(name, None)
                if isinstance(value, Secret):
                    sealed[name] = LiveKey(key, name), value
                else:
                    clear[name] = value
        except AgentError as error:
            raise error.with_facts(object=key) from None
    made = {name: placeholder_of(at, value, fingerprinter, uid) for name, (at, value) in sealed.items()}
    return LiveVariables(
        clear,
        made,
        {made[name]: Sealed(made[name], value.label, "live") for name, (_, value) in sealed.items()},
        {made[name]: at for name, (at, _) in sealed.items()},
        {made[name]: value for name, (_, value) in sealed.items()},
        fingerprinter.tree(uid, "variables", {"clear": {**clear}, "sealed": {**made}}),
        tuple(unread),
    )


def placeholder_of(at: LiveKey, value: Secret, fingerprinter: Fingerprinter, uid: str) -> Placeholder:
    """The placeholder of a value, the same for as long as the value is."""
    within = at.path or ()
    print_ = fingerprinter.leaf(uid, at.object.key, ("data", at.key, *within), value)
    return placeholders.of("live", at.object.key, at.key, *map(str, within), print_)


def opened(tree: Object | None, at: LiveKey) -> Secret | None:
    """The value of a key of an object that was read again; None where it has none any more."""
    leaf = get_object(tree, "data").get(at.key)
    value = _value(at.object.kind, leaf) if isinstance(leaf, Secret) else None
    return value if isinstance(value, Secret) else None


def _data(asked: VariablesFrom, tree: Object | None) -> Object:
    if tree is not None:
        return get_object(tree, "data")
    if asked.optional:
        return {}
    raise ConfigError(
        "the object with variables does not exist",
        hint="create it, or set optional: true where spec.substitute.from names it",
    )


def _value(kind: str, leaf: Tree) -> str | Secret:
    """Text without the line breaks at its end, which Flux drops. An empty value is no secret, so that it has a default as in Flux."""
    if not isinstance(leaf, Secret):
        return leaf if isinstance(leaf, str) else ""
    value = derive.base64_decode(leaf) if kind == "Secret" else leaf
    try:
        value = derive.clip(value, "")
    except AgentError:
        return value  # bytes that are no text, which nothing needs to use
    return value if derive.size(value) else ""


def _refuse_reference(name: str, value: str | Secret) -> None:
    """The Application's rights in a store are for what it or its repository names, and not for who writes objects beside it."""
    if references.has_reference(value.replace("\n", "") if isinstance(value, str) else value):
        raise SubstitutionError(
            "a variable of an object in the cluster holds a reference to a store, and only the Application or Git may name one",
            hint="put the reference into spec.substitute.variables or a file in Git, and remove it from the object",
            variable=name,
        )


@dataclass(slots=True)
class _Room:
    keys: int = MOST_KEYS
    characters: int = MOST_CHARACTERS

    def take(self, name: str, leaf: Tree) -> None:
        """Raises SubstitutionError, LimitError."""
        if not expansion.NAME.fullmatch(name):
            raise SubstitutionError(
                "a key is not the name of a variable: it has characters other than letters, digits and _",
                hint="rename the key, or keep variables in a Secret or ConfigMap of their own",
                variable=name,
            )
        self.keys -= 1
        self.characters -= len(leaf) if isinstance(leaf, str) else derive.size(leaf)
        if self.keys < 0 or self.characters < 0:
            raise LimitError(
                "the variables of spec.substitute.from are too many or too long",
                hint="name Secrets and ConfigMaps that hold variables and nothing else",
                keys=MOST_KEYS,
                characters=MOST_CHARACTERS,
            )
