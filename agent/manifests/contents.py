"""Whether a ConfigMap holds a secret: the agent says so on each that it applies, so that other agents need not know its record.

A ConfigMap is clear text to its readers, unless an Application put a secret into it. The word for that there is no secret is a MAC over
installation, Application and object: what another installation applied, or an agent that writes no such word yet, is not proven clear.
Each apply writes one of the two words, in the request that writes the data.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Final

from agent.api import names
from agent.manifests import fields, ownership
from agent.manifests.managers import RELEASED
from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from agent.manifests.ownership import Owner
    from agent.values.fingerprint import Fingerprinter
    from agent.values.ids import ObjectId
    from agent.values.tree import Object, Tree

ANNOTATION: Final = f"{ownership.PREFIX}contents"
_MANAGERS: Final = frozenset({names.FIELD_MANAGER, RELEASED})
_SEALED: Final = "sealed"
_CLEAR: Final = re.compile(r"clear\.v1\.([A-Za-z0-9-]{1,32})\.([0-9a-f]{32})")


def is_marked(key: ObjectId) -> bool:
    """Whether the agent says on objects of this kind what they hold."""
    return (key.group, key.kind) == ("", "ConfigMap")


def mark(tree: Object, key: ObjectId, owner: Owner, fingerprinter: Fingerprinter, *, holds_secret: bool) -> Object:
    """`tree` with the word on what it holds; what Git says under this name is replaced."""
    if not is_marked(key):
        return tree
    word = _SEALED
    if not holds_secret:
        mac = _mac(owner.installation, owner.application.uid, key, fingerprinter)
        word = f"clear.v1.{fingerprinter.version}.{mac}"
    metadata = get_object(tree, "metadata")
    annotations = {**get_object(metadata, "annotations"), ANNOTATION: word}
    return {**tree, "metadata": {**metadata, "annotations": annotations}}


def is_clear(live: Object, key: ObjectId, installation: str, fingerprinter: Fingerprinter) -> bool:
    """Whether the values of a live ConfigMap are clear text: no agent wrote it, or one of this installation proves that it has no secret."""
    if not _is_written(live):
        return True
    uid = ownership.prove(live, key, installation, fingerprinter)
    found = _CLEAR.fullmatch(_word(live))
    if uid is None or found is None or found[1] != fingerprinter.version or _is_left(live):
        return False
    return hmac.compare_digest(_mac(installation, uid, key, fingerprinter), found[2])


def has_mark(live: Tree) -> bool:
    """Whether a live object says what it holds, if it is of a kind that does."""
    is_core = (get_text(live, "apiVersion"), get_text(live, "kind")) == ("v1", "ConfigMap")
    return bool(_word(live)) or not is_core


def claims_clear(live: Object) -> bool:
    """The same, for those who cannot verify the proof."""
    return not _is_written(live) or (_CLEAR.fullmatch(_word(live)) is not None and not _is_left(live))


def _mac(installation: str, uid: str, key: ObjectId, fingerprinter: Fingerprinter) -> str:
    return fingerprinter.text("contents", "clear", installation, uid, key.key)


def _word(live: Tree) -> str:
    return get_text(live, "metadata", "annotations", ANNOTATION)


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
