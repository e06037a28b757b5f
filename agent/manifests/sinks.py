"""Where a secret may stand: data of a `v1/Secret`, what both sides opted in to, and the custom-resource fields that the operator lists.

Everything else is shown to anyone who may read the object, or acts on it (an image, a host), and is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from agent.manifests import builtin, references
from agent.values.errors import SinkError
from agent.values.secret import PUBLIC, Sealed, Secret
from agent.values.tree import format_path, walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.ids import ObjectId
    from agent.values.tree import Leaf, Object, Path

DISCLOSE: Final = "name a Secret where the value is needed; or disclose the variable: spec.substitute.disclose, with the operator's grant in disclosures"
_STEP = re.compile(r'\["([^"]*)"\]|\[\*\]|[^.\[\]]+')


@dataclass(frozen=True, slots=True)
class AllowedSinks:
    """What the operator and the Application both allow. `custom_fields`: group, kind and path such as `spec.users[*].password`.

    In a path `[*]` stands for any list item, `*` for any one step or part of a key, `**` for any number of steps; keys with dots are
    quoted: `spec["tls.key"]`.
    """

    config_maps: bool = False
    env: bool = False
    args: bool = False
    custom_fields: frozenset[tuple[str, str, str]] = field(default_factory=frozenset[tuple[str, str, str]])


def check(object_id: ObjectId, tree: Object, allowed: AllowedSinks, variables: Mapping[str, str] | None = None) -> None:
    """Raises SinkError for the first secret, ciphertext or reference that stands where none may.

    Takes an object at any stage: sealed, opened or assembled. `variables` are names by the labels of their sealed values.
    """
    for path, leaf in walk(tree):
        if not _is_secret(leaf):
            continue
        try:
            _check(object_id, path, allowed)
        except SinkError as error:
            named = _variable(leaf, variables or {})
            raise (error.with_facts(variable=named).with_hint(DISCLOSE) if named else error) from None


def _variable(leaf: Leaf, variables: Mapping[str, str]) -> str:
    """The variable that a leaf is made of, by what it is labelled with."""
    labels: set[str] = set()
    if isinstance(leaf, Secret | Sealed):
        labels = {*leaf.label.split(" + ")}
    elif isinstance(leaf, str):
        labels = {str(reference) for reference in references.find({"": leaf})}
    return next((name for label, name in variables.items() if label in labels), "")


def _is_secret(leaf: Leaf) -> bool:
    if isinstance(leaf, Sealed):
        return leaf.type != PUBLIC
    return isinstance(leaf, Secret) or (isinstance(leaf, str) and references.has_reference(leaf))


def _check(object_id: ObjectId, path: Path, allowed: AllowedSinks) -> None:
    facts = {"object": object_id, "field": format_path(path)}
    group, kind = object_id.group, object_id.kind
    if path[0] in builtin.CLEAR_FIELDS:
        raise SinkError("a secret is in metadata", hint="metadata is not protected; use data of a Secret", **facts)
    if (group, kind) == ("", "Secret"):
        if len(path) == 2 and path[0] in {"data", "stringData"}:
            return
        raise SinkError("a secret is outside the data of a Secret", hint="move it to data or stringData", **facts)
    if (group, kind) == ("", "ConfigMap"):
        if path[0] in {"data", "binaryData"} and allowed.config_maps:
            return
        raise SinkError(
            "a secret is in a ConfigMap",
            hint="use a Secret, or allow ConfigMap in spec.secrets.allow and in the operator's sinks",
            **facts,
        )
    if builtin.pod_template(group, kind) is not None:
        _check_pod(object_id, path, allowed)
        return
    if group not in builtin.GROUPS and any(
        (g, k) == (group, kind) and _matches(path, glob) for g, k, glob in allowed.custom_fields
    ):
        return
    raise SinkError(
        "a secret is in a field where none is allowed",
        hint="name a Secret from this field; fields of custom resources are the operator's to list in sinks",
        **facts,
    )


def _check_pod(object_id: ObjectId, path: Path, allowed: AllowedSinks) -> None:
    facts = {"object": object_id, "field": format_path(path)}
    template = builtin.pod_template(object_id.group, object_id.kind) or ()
    below = path[len(template) :]
    in_container = (
        path[: len(template)] == template and len(below) > 3 and below[0] == "spec" and below[1] in builtin.CONTAINERS
    )
    inner = below[3:] if in_container else ()
    if len(inner) == 3 and inner[0] == "env" and inner[2] == "value":
        if allowed.env:
            return
        raise SinkError(
            "a secret is in an environment variable",
            hint="name a Secret with valueFrom.secretKeyRef, or allow Env in spec.secrets.allow and in the operator's sinks",
            **facts,
        )
    if len(inner) == 2 and inner[0] in {"args", "command"}:
        if allowed.args:
            return
        raise SinkError(
            "a secret is in a command line",
            hint="pass a file of a mounted Secret, or allow Args in spec.secrets.allow and in the operator's sinks",
            **facts,
        )
    raise SinkError("a secret is in a field of a pod where none is allowed", hint="use valueFrom.secretKeyRef", **facts)


def _matches(path: Path, glob: str) -> bool:
    return _match(path, tuple(match.group(1) or match.group() for match in _STEP.finditer(glob)))


def _match(path: Path, pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_match(path[at:], pattern[1:]) for at in range(len(path) + 1))
    if not path:
        return False
    step = path[0]
    same = (
        pattern[0] in {"*", "[*]"} if isinstance(step, int) else pattern[0] != "[*]" and fnmatchcase(step, pattern[0])
    )
    return same and _match(path[1:], pattern[1:])
