"""What a manifest says, and which of its blobs has the files: Flux's layout, a Helm chart, or one plain archive."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from agent.values.errors import LimitError, SourceError
from agent.values.tree import Object, get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.tree import Tree

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
ACCEPTED: Final = f"{MANIFEST}, {INDEX}, {DOCKER}, {DOCKER_LIST}"

FLUX: Final = "application/vnd.cncf.flux.content.v1.tar+gzip"
CHART: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_PLAIN: Final = re.compile(r"application/(?:[A-Za-z0-9.-]+\.)?(?:x-)?(?:tar|gzip)(?:[.+]gzip)?")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_MOST: Final = 128
"""Layers of a manifest, and manifests of an index."""
_LARGEST: Final = 2**53


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob or manifest as another manifest names it. `size` is in bytes; `artifact_type` is only of manifests that refer to another."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    artifact_type: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """An artifact's layers and annotations, as their author wrote them."""

    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def created(self) -> int:
        """Unix seconds; 0 where it does not say."""
        try:
            return max(
                0, int(datetime.fromisoformat(self.annotations.get("org.opencontainers.image.created", "")).timestamp())
            )
        except (ValueError, OverflowError):
            return 0

    @property
    def revision(self) -> str:
        """Of the sources that it was made of, as Flux's command writes it: `main@sha1:…`."""
        return self.annotations.get("org.opencontainers.image.revision", "")


def is_digest(text: str) -> bool:
    """Whether it is a SHA-256 digest, the only kind that is taken."""
    return _DIGEST.fullmatch(text) is not None


def parse(tree: Tree) -> Manifest | Descriptor:
    """A manifest; of an index the manifest that it names, if there is one only. Raises SourceError, LimitError."""
    found: Object = tree if isinstance(tree, dict) else {}
    if "manifests" in found:
        named = _descriptors(found, "manifests")
        if len(named) != 1:
            raise SourceError(
                "the artifact is an index of several manifests",
                hint="name the digest of one of them in spec.source.oci.digest",
                found=len(named),
            )
        return named[0]
    return Manifest(_descriptors(found, "layers"), _annotations(found))


def referrers(tree: Tree) -> tuple[Descriptor, ...]:
    """What an index of manifests names that refer to one artifact. Raises SourceError, LimitError."""
    return _descriptors(tree if isinstance(tree, dict) else {}, "manifests")


def content(manifest: Manifest) -> Descriptor:
    """The layer with the files. Raises SourceError."""
    for kind in (FLUX, CHART):
        known = [each for each in manifest.layers if each.media_type == kind]
        if known:
            return known[0]
    plain = [each for each in manifest.layers if _PLAIN.fullmatch(each.media_type)]
    if len(plain) != 1 or len(manifest.layers) != 1:
        raise SourceError(
            "the artifact has no layer that the agent takes",
            hint="push it with flux push artifact, helm push, or as one tar or tar+gzip layer",
            layers=len(manifest.layers),
        )
    return plain[0]


def _descriptors(tree: Object, name: str) -> tuple[Descriptor, ...]:
    items = tree.get(name)
    if not isinstance(items, list):
        raise SourceError("the registry's answer is no manifest of an artifact", field=name)
    if len(items) > _MOST:
        raise LimitError("the manifest names more than the agent accepts", field=name, limit=_MOST)
    return tuple(map(_descriptor, items))


def _descriptor(item: Tree) -> Descriptor:
    digest, size = get_text(item, "digest"), get(item, "size")
    if not is_digest(digest) or not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < _LARGEST:
        raise SourceError(
            "the manifest names a blob without a SHA-256 digest and a size", hint="push the artifact again"
        )
    return Descriptor(get_text(item, "mediaType"), digest, size, _annotations(item), get_text(item, "artifactType"))


def _annotations(tree: Tree) -> dict[str, str]:
    return {key: value for key, value in get_object(tree, "annotations").items() if isinstance(value, str)}
