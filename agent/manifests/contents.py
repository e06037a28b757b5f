"""Whether a ConfigMap holds a secret: the agent says so on each that it puts one into, so that other agents need not know its record.

A ConfigMap is clear text to its readers, unless an Application put a secret into it. The request that writes the secret also writes the
annotation, and the one that takes the secret out takes the annotation away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.api import names
from agent.manifests import fields, ownership, references
from agent.manifests.managers import RELEASED
from agent.values.secret import PUBLIC, Sealed
from agent.values.tree import get, get_object, walk

if TYPE_CHECKING:
    from agent.values.fingerprint import Fingerprinter
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

ANNOTATION: Final = f"{ownership.PREFIX}contents"
_MANAGERS: Final = frozenset({names.FIELD_MANAGER, RELEASED})
_SEALED: Final = "sealed"


def is_marked(key: ObjectId) -> bool:
    """Whether the agent says on objects of this kind that they hold a secret."""
    return (key.group, key.kind) == ("", "ConfigMap")


def may_hold_secret(tree: Object) -> bool:
    """Whether something in a sealed merge may be a secret once it is opened."""
    return any(
        (isinstance(leaf, Sealed) and leaf.type != PUBLIC)
        or (isinstance(leaf, str) and references.PATTERN.search(leaf) is not None)
        for _, leaf in walk(tree)
    )


def mark(tree: Object, key: ObjectId, *, holds_secret: bool) -> Object:
    """`tree` with the mark if it holds a secret; what Git says under this name is taken out."""
    metadata = get_object(tree, "metadata")
    annotations = {name: value for name, value in get_object(metadata, "annotations").items() if name != ANNOTATION}
    if not is_marked(key):
        return tree
    if holds_secret:
        annotations[ANNOTATION] = _SEALED
    elif ANNOTATION not in get_object(metadata, "annotations"):
        return tree
    return {**tree, "metadata": {**metadata, "annotations": annotations}}


def is_true(live: Object | None, key: ObjectId, *, holds_secret: bool) -> bool:
    """Whether a live object has the mark exactly if it holds a secret."""
    return not is_marked(key) or (ANNOTATION in get_object(live, "metadata", "annotations")) == holds_secret


def is_clear(live: Object, key: ObjectId, installation: str, fingerprinter: Fingerprinter) -> bool:
    """Whether the values of a live ConfigMap are clear text: no agent wrote it, or one of this installation did and put no secret into it."""
    if not _is_written(live):
        return True
    return ownership.prove(live, key, installation, fingerprinter) is not None and claims_clear(live)


def claims_clear(live: Object) -> bool:
    """The same, for those who cannot verify the proof of ownership."""
    return ANNOTATION not in get_object(live, "metadata", "annotations") and not _is_left(live)


def _is_written(live: Object) -> bool:
    """Whether an agent of any installation wrote it, or something says so: field managers can be erased."""
    said = get_object(live, "metadata", "annotations").keys() & {ANNOTATION, ownership.ANNOTATION_OWNER}
    labelled = ownership.LABEL_INSTALLATION in get_object(live, "metadata", "labels")
    return bool(said) or labelled or any(each.get("manager") in _MANAGERS for each in fields.entries(live))


def _is_left(live: Object) -> bool:
    """Whether it has values that an agent left to others: they stay after Git has them no more, and may be secrets."""
    return any(
        get(each, "fieldsV1", f"f:{field}") is not None
        for each in fields.entries(live)
        if each.get("manager") == RELEASED
        for field in ("data", "binaryData")
    )
