"""SealedSecret → the v1/Secret that it stands for, its values still sealed.

As the controller of bitnami-labs/sealed-secrets unseals it (pkg/apis/sealedsecrets/v1alpha1, SealedSecret.Unseal): name and namespace
are the SealedSecret's own, everything else is of its template. Opening the values takes a private key, which is not available here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from agent.manifests import ownership
from agent.manifests.builtin import LAST_APPLIED, group_of
from agent.manifests.layers import Desired
from agent.values.errors import DuplicateObjectError, ManifestError, SealedSecretError, UnsupportedManifestError
from agent.values.ids import ObjectId
from agent.values.patterns import name_matches
from agent.values.problems import Problem
from agent.values.secret import Sealed
from agent.values.tree import format_path, get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.tree import Object, Tree

GROUP = "bitnami.com"
API_VERSION = f"{GROUP}/v1alpha1"
KIND = "SealedSecret"

_PREFIX = f"sealedsecrets.{GROUP}/"
_TEMPLATE_ACTION = "{{"


class Scope(Enum):
    """What a value is bound to, as kubeseal's `--scope` calls it."""

    STRICT = "strict"
    NAMESPACE_WIDE = "namespace-wide"
    CLUSTER_WIDE = "cluster-wide"

    def label(self, namespace: str, name: str) -> bytes:
        """The label of RSA-OAEP: a value opens under no other."""
        match self:
            case Scope.STRICT:
                return f"{namespace}/{name}".encode()
            case Scope.NAMESPACE_WIDE:
                return namespace.encode()
            case Scope.CLUSTER_WIDE:
                return b""


@dataclass(frozen=True, slots=True)
class SealedValue:
    """One value: the leaf that stands for its base64 in `data`, its ciphertext, and what it has to be bound to."""

    leaf: Sealed
    ciphertext: bytes = field(repr=False)
    scope: Scope
    namespace: str
    name: str
    key: str

    @property
    def secret(self) -> ObjectId:
        """The Secret that holds it."""
        return ObjectId("", "Secret", self.namespace, self.name)

    @property
    def field(self) -> str:
        """Where the value stands in the SealedSecret."""
        return format_path(("spec", "encryptedData", self.key))


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A Secret with Sealed leaves in its `data`, and what they are made of."""

    tree: Object
    values: tuple[SealedValue, ...]


@dataclass(frozen=True, slots=True)
class Unsealing:
    """That the agent unseals, as the operator allows it: into which namespaces, and values that are bound to none, or not."""

    cluster_wide: bool = False
    namespaces: tuple[str, ...] = ("*",)

    def serves(self, namespace: str) -> bool:
        """Whether SealedSecrets that go into `namespace` are unsealed."""
        return any(name_matches(pattern, namespace) for pattern in self.namespaces)


@dataclass(frozen=True, slots=True)
class Replaced:
    """Desired objects with Secrets in the place of SealedSecrets; `values` by the id of their leaf."""

    objects: Mapping[ObjectId, Desired]
    values: Mapping[str, SealedValue]
    failures: tuple[Problem, ...]


def is_sealed_secret(tree: Tree) -> bool:
    """Whether a document is one, of any version."""
    return get_text(tree, "kind") == KIND and group_of(get_text(tree, "apiVersion")) == GROUP


def secret_id(key: ObjectId) -> ObjectId:
    """The Secret that a SealedSecret becomes; every other identity is itself."""
    return ObjectId("", "Secret", key.namespace, key.name) if (key.group, key.kind) == (GROUP, KIND) else key


def replace(objects: Mapping[ObjectId, Desired], unsealing: Unsealing | None) -> Replaced:
    """Put Secrets in the place of merged SealedSecrets. Each goes where the SealedSecret would, and its values must be bound to that.

    Without `unsealing`, and where it does not serve, SealedSecrets are objects like any other.
    """
    if unsealing is None:
        return Replaced(objects, {}, ())
    found: dict[ObjectId, Desired] = {}
    values: dict[str, SealedValue] = {}
    failures: list[Problem] = []
    for key, desired in objects.items():
        target = secret_id(key)
        if target == key or not unsealing.serves(key.namespace):
            found.setdefault(key, desired)
            continue
        try:
            unwrapped = _unwrapped(desired, objects.get(target), unsealing)
        except (ManifestError, SealedSecretError) as error:
            file = desired.files[-1]
            failures.append(Problem(error.with_facts(file=file, object=target), target, file))
        else:
            found[target] = Desired(target, "v1", unwrapped.tree, desired.files, rendered_from=desired.rendered_from)
            values.update({each.leaf.id: each for each in unwrapped.values})
    failed = {failure.object for failure in failures}
    return Replaced({key: item for key, item in found.items() if key not in failed}, values, tuple(failures))


def _unwrapped(desired: Desired, other: Desired | None, unsealing: Unsealing) -> Unwrapped:
    if other is not None:
        raise DuplicateObjectError(
            "a Secret and a SealedSecret of one name",
            hint="keep one of them: the agent makes the Secret of the SealedSecret",
            other=other.files[-1],
        )
    unwrapped = secret(desired.tree, namespace=desired.id.namespace)
    if not unsealing.cluster_wide and any(each.scope is Scope.CLUSTER_WIDE for each in unwrapped.values):
        raise SealedSecretError(
            "cluster-wide values are not unsealed: anyone with the ciphertext could read them in any namespace",
            hint="seal them for a namespace, or ask the operator to set sealedSecrets.clusterWide",
        )
    return unwrapped


def secret(tree: Object, *, namespace: str) -> Unwrapped:
    """The Secret of one SealedSecret that goes into `namespace`, which is empty where none is given.

    Raises ManifestError for what is malformed, UnsupportedManifestError for Go templates and for the format of before 2019.
    """
    name = get_text(tree, "metadata", "name")
    scope = _scope(get_object(tree, "metadata", "annotations"))
    if not namespace and scope is not Scope.CLUSTER_WIDE:
        raise ManifestError(
            "the SealedSecret has no namespace, and its values are bound to one",
            hint="set metadata.namespace, or pass --namespace",
            field="metadata.namespace",
        )
    if get(tree, "spec", "data") is not None:
        raise UnsupportedManifestError(
            "spec.data has the old format, which sealed-secrets no longer writes",
            hint="seal the Secret again, with spec.encryptedData",
            field="spec.data",
        )
    literals = _literals(_map(tree, "spec", "template", "data"))
    values = tuple(
        _value(key, text, scope, namespace, name)
        for key, text in _map(tree, "spec", "encryptedData").items()
        if key not in literals
    )
    result: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": _metadata(tree)}
    for setting in ("type", "immutable"):
        given = get(tree, "spec", "template", setting)
        if given is not None:
            result[setting] = given
    if values:
        result["data"] = {each.key: each.leaf for each in values}
    if literals:
        result["stringData"] = dict(literals)
    return Unwrapped(result, values)


def _scope(annotations: Object) -> Scope:
    """The wider one wins, as in the controller."""
    if annotations.get(f"{_PREFIX}cluster-wide") == "true":
        return Scope.CLUSTER_WIDE
    if annotations.get(f"{_PREFIX}namespace-wide") == "true":
        return Scope.NAMESPACE_WIDE
    return Scope.STRICT


def _map(tree: Object, *path: str) -> Object:
    found = get(tree, *path)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ManifestError("field takes a map", field=format_path(path))
    return found


def _literals(template: Object) -> dict[str, str]:
    """Texts of the template without an action: Go's text/template gives them as they are."""
    for key, text in template.items():
        place = format_path(("spec", "template", "data", key))
        if text is None:
            continue
        if not isinstance(text, str):
            raise ManifestError("field takes a string", hint="quote the value", field=place)
        if _TEMPLATE_ACTION in text:
            raise UnsupportedManifestError(
                "a Go template over the values is not rendered",
                hint="seal what it renders to, as a value of its own",
                field=place,
            )
    return {key: text if isinstance(text, str) else "" for key, text in template.items()}


def _value(key: str, text: Tree, scope: Scope, namespace: str, name: str) -> SealedValue:
    place = format_path(("spec", "encryptedData", key))
    if not isinstance(text, str):
        raise ManifestError("field takes a string", hint="it is what kubeseal prints", field=place)
    try:
        # Go's decoder passes over line ends and nothing else.
        ciphertext = base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise ManifestError(
            "a sealed value is not base64", hint="was it cut off? seal the value again", field=place
        ) from None
    parts = [part.encode("utf-8", "surrogatepass") for part in (scope.value, namespace, name, key)]
    digest = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in (*parts, ciphertext)))
    leaf = Sealed(digest.hexdigest()[:32], f"sealed-secret:{namespace}/{name}#{key}", "str")
    return SealedValue(leaf, ciphertext, scope, namespace, name, key)


def _metadata(tree: Object) -> Object:
    """The template's, under the SealedSecret's name; what is written on the SealedSecret for the agent holds for the Secret."""
    own = get_object(tree, "metadata")
    template = _map(tree, "spec", "template", "metadata")
    metadata: Object = {key: own[key] for key in ("name", "namespace") if key in own}
    if labels := _map(tree, "spec", "template", "metadata", "labels"):
        metadata["labels"] = _texts(labels)
    if (finalizers := template.get("finalizers")) is not None:
        metadata["finalizers"] = finalizers
    words = {key: text for key, text in get_object(own, "annotations").items() if key.startswith(ownership.PREFIX)}
    merged = {**words, **_texts(_map(tree, "spec", "template", "metadata", "annotations"))}
    merged.pop(LAST_APPLIED, None)
    if merged:
        metadata["annotations"] = merged
    return metadata


def _texts(given: Object) -> Object:
    """A map of texts, in which null is the empty one, as it is to Go."""
    return {key: "" if text is None else text for key, text in given.items()}
