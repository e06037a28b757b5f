"""Hooks of a chart: objects that run before or after the others, as annotations of Helm and of Argo CD say, and in which order."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agent.manifests import order
from agent.values import placeholders
from agent.values.tree import get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.ids import ObjectId
    from agent.values.tree import Object

Phase: TypeAlias = Literal["before", "after"]
"""Before the objects of the release, but behind definitions and Namespaces; or after all of them."""
PHASES: Final[tuple[Phase, Phase]] = ("before", "after")
Policy: TypeAlias = Literal["before-hook-creation", "hook-succeeded", "hook-failed"]

_HELM: Final = "helm.sh/hook"
_ARGO: Final = "argocd.argoproj.io/hook"
_HELM_WEIGHT: Final = "helm.sh/hook-weight"
_ARGO_WEIGHT: Final = "argocd.argoproj.io/sync-wave"
_INSTALL: Final[Mapping[str, Phase]] = {"pre-install": "before", "post-install": "after"}
_UPGRADE: Final[Mapping[str, Phase]] = {"pre-upgrade": "before", "post-upgrade": "after"}
_POLICIES: Final[Mapping[str, Policy]] = {
    "before-hook-creation": "before-hook-creation",
    "hook-succeeded": "hook-succeeded",
    "hook-failed": "hook-failed",
    "BeforeHookCreation": "before-hook-creation",
    "HookSucceeded": "hook-succeeded",
    "HookFailed": "hook-failed",
}
_WEIGHT: Final = re.compile(r"[+-]?[0-9]{1,9}")
_NAME_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class Hook:
    """`install` says when it runs where nothing of the release stands, `upgrade` where something does; both may be more than once.

    `policies` say when the object goes again.
    """

    install: frozenset[Phase]
    upgrade: frozenset[Phase]
    weight: int
    policies: frozenset[Policy]

    def phases(self, *, installing: bool) -> frozenset[Phase]:
        return self.install if installing else self.upgrade

    @property
    def shown(self) -> str:
        """For people: `before install and upgrade`, `after upgrade`."""
        return "; ".join(
            f"{phase} "
            + " and ".join(
                name for name, found in (("install", self.install), ("upgrade", self.upgrade)) if phase in found
            )
            for phase in PHASES
            if phase in self.install | self.upgrade
        )

    def goes(self, *, failed: bool) -> bool:
        """Whether its object is deleted once it has ended."""
        return ("hook-failed" if failed else "hook-succeeded") in self.policies


def of(tree: Object) -> Hook | None:
    """What the annotations of an object make of it: those of Helm, or else those of Argo CD; None for an ordinary object."""
    annotations = get_object(tree, "metadata", "annotations")
    words = _words(annotations, _HELM)
    if words:
        install = frozenset[Phase](_INSTALL[word] for word in words if word in _INSTALL)
        upgrade = frozenset[Phase](_UPGRADE[word] for word in words if word in _UPGRADE)
        found = Hook(install, upgrade, _weight(annotations, _HELM_WEIGHT), _policies(annotations, _HELM))
    else:
        weight = _weight(annotations, _ARGO_WEIGHT)
        phases = frozenset[Phase](_phase(word, weight) for word in _words(annotations, _ARGO) if word in _ARGO_PHASES)
        found = Hook(phases, phases, weight, _policies(annotations, _ARGO))
    return found if found.install or found.upgrade else None


_ARGO_PHASES: Final[Mapping[str, Phase]] = {"PreSync": "before", "Sync": "after", "PostSync": "after"}


def _phase(word: str, weight: int) -> Phase:
    """Argo CD runs hooks of the sync among its waves, of which the objects without one are wave 0."""
    return "before" if word == "Sync" and weight < 0 else _ARGO_PHASES[word]


def is_marked(tree: Object) -> bool:
    """Whether an object, desired or live, is one that Helm or Argo CD would take for a hook."""
    annotations = get_object(tree, "metadata", "annotations")
    return bool(_words(annotations, _HELM) or _words(annotations, _ARGO))


def rank(key: ObjectId, hook: Hook) -> tuple[int, int, str, str]:
    """Hooks run in this order: by weight, kind and name."""
    return hook.weight, order.wave_of(key, {}), key.kind, key.name


def named(tree: Object) -> Object:
    """An object that asks for a name to be generated, with one that its content gives: it is the same until that changes.

    What stands for a sealed value is no content, so that encrypting it again gives no other name.
    """
    metadata = get_object(tree, "metadata")
    prefix = metadata.get("generateName")
    if get_text(metadata, "name") or not isinstance(prefix, str) or not prefix or not is_marked(tree):
        return tree
    text = json.dumps(tree, sort_keys=True)
    content = "".join(placeholders.split(text)[::2]) if placeholders.is_marked(text) else text
    digest = hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:_NAME_DIGITS]
    rest = {name: value for name, value in metadata.items() if name != "generateName"}
    return {**tree, "metadata": {**rest, "name": prefix[: 63 - _NAME_DIGITS] + digest}}


def _words(annotations: Object, name: str) -> list[str]:
    text = get_text(annotations, name)
    return [word.strip() for word in text.split(",") if word.strip()]


def _weight(annotations: Object, name: str) -> int:
    """As Helm reads it: what is no whole number is 0."""
    text = get_text(annotations, name).strip()
    return int(text) if _WEIGHT.fullmatch(text) else 0


def _policies(annotations: Object, name: str) -> frozenset[Policy]:
    return frozenset(_POLICIES[word] for word in _words(annotations, f"{name}-delete-policy") if word in _POLICIES)
