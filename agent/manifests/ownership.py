"""Whose an object is: two labels to find it, one annotation that proves it, and the words that users write on objects.

The annotation is a MAC over (installation, Application uid, object identity): a copied object, or one that carries our labels by
hand, fails the proof and is neither drift nor ever pruned.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.api import names
from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from agent.values.fingerprint import Fingerprinter
    from agent.values.ids import ApplicationId, ObjectId
    from agent.values.tree import Object

PREFIX = f"{names.GROUP}/"
LABEL_INSTALLATION = PREFIX + "installation"
LABEL_APPLICATION = PREFIX + "application"
ANNOTATION_OWNER = PREFIX + "owner"
ANNOTATION_NEW_OWNER = PREFIX + "new-owner"
ANNOTATION_RECONCILE = PREFIX + "reconcile"
ANNOTATION_APPLY = PREFIX + "apply"
ANNOTATION_PRUNE = PREFIX + "prune"
ANNOTATION_ADDITIONS = PREFIX + "additions"
ANNOTATION_REPLACE = PREFIX + "replace"
ANNOTATION_WAVE = PREFIX + "wave"
ANNOTATION_ROLL = PREFIX + "secrets-version"
ANNOTATION_HOOK = PREFIX + "hook-content"
_HELM = "helm.sh/resource-policy"
SHARED: Final = {ANNOTATION_APPLY: "if-ours", ANNOTATION_PRUNE: "disabled", ANNOTATION_ADDITIONS: "keep"}
"""On what one Application makes for others as well: it is kept as Git says where it is ours, and otherwise left as it is."""

_OWNER = re.compile(r"v1\.([A-Za-z0-9-]{1,32})\.([A-Za-z0-9-]{1,64})\.([0-9a-f]{32})")
_LABEL_LIMIT = 63


@dataclass(frozen=True, slots=True)
class Owner:
    """An Application of an installation."""

    installation: str
    application: ApplicationId


def application_label(application: ApplicationId) -> str:
    """A label value unique to the Application: as much of its name as fits, then its uid."""
    uid = application.uid[:_LABEL_LIMIT]
    room = _LABEL_LIMIT - len(uid) - 1
    return f"{application.name[:room]}-{uid}" if room > 0 else uid


def stamp(tree: Object, object_id: ObjectId, owner: Owner, fingerprinter: Fingerprinter) -> Object:
    """`tree` with the labels and the proof; what Git says under these names is replaced."""
    metadata = get_object(tree, "metadata")
    mac = fingerprinter.text(owner.installation, owner.application.uid, object_id.key)
    proof = f"v1.{fingerprinter.version}.{owner.application.uid}.{mac}"
    labels = {
        **get_object(metadata, "labels"),
        LABEL_INSTALLATION: owner.installation,
        LABEL_APPLICATION: application_label(owner.application),
    }
    annotations = {**get_object(metadata, "annotations"), ANNOTATION_OWNER: proof}
    return {**tree, "metadata": {**metadata, "labels": labels, "annotations": annotations}}


def prove(live: Object, object_id: ObjectId, installation: str, fingerprinter: Fingerprinter) -> str | None:
    """The uid of the Application that owns a live object, or None where nothing proves one."""
    found = _OWNER.fullmatch(_annotation(live, ANNOTATION_OWNER))
    if found is None or found[1] != fingerprinter.version:
        return None
    mac = fingerprinter.text(installation, found[2], object_id.key)
    return found[2] if hmac.compare_digest(mac, found[3]) else None


def claimed(live: Object) -> str:
    """The uid of the Application that a live object says owns it, proven or not; empty where it names none."""
    found = _OWNER.fullmatch(_annotation(live, ANNOTATION_OWNER))
    return found[2] if found is not None else ""


def new_owner(live: Object) -> tuple[str, str] | None:
    """Namespace and name of the Application that an object is handed over to."""
    namespace, found, name = _annotation(live, ANNOTATION_NEW_OWNER).partition("/")
    return (namespace, name) if found and namespace and name else None


def is_reconcile_disabled(tree: Object) -> bool:
    """The object is left alone: neither applied nor healed nor pruned."""
    return _annotation(tree, ANNOTATION_RECONCILE) == "disabled"


def outline(tree: Object) -> Object:
    """As much of an object as `is_reconcile_disabled` looks at."""
    word = _annotation(tree, ANNOTATION_RECONCILE)
    return {"metadata": {"annotations": {ANNOTATION_RECONCILE: word}}} if word else {}


def is_apply_if_absent(tree: Object) -> bool:
    """The object is made where it is missing and then left to others."""
    return _annotation(tree, ANNOTATION_APPLY) == "if-not-present"


def is_shared(tree: Object) -> bool:
    """The object is made where it is missing, kept where it is ours, and otherwise left to others."""
    return _annotation(tree, ANNOTATION_APPLY) == "if-ours"


def is_left_to_others(tree: Object, *, ours: bool) -> bool:
    """The object stays as it stands; `ours` says whether it is proven so."""
    return is_apply_if_absent(tree) or (is_shared(tree) and not ours)


def is_prune_disabled(tree: Object) -> bool:
    """The object stays when it leaves Git, in our word or in Helm's."""
    return _annotation(tree, ANNOTATION_PRUNE) == "disabled" or _annotation(tree, _HELM).strip().lower() == "keep"


def is_additions_kept(tree: Object) -> bool:
    """What people add to the object stays, and is no drift."""
    return _annotation(tree, ANNOTATION_ADDITIONS) == "keep"


def is_replace_allowed(tree: Object) -> bool:
    """A change of an immutable field may delete and re-create the object."""
    return _annotation(tree, ANNOTATION_REPLACE) == "true"


def _annotation(tree: Object, name: str) -> str:
    found = get(tree, "metadata", "annotations")
    return get_text(found, name)
