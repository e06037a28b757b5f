"""The manifest files of an artifact's layers, chosen as those of a commit are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from agent.engine.repositories import Snapshot
from agent.engine.rooms import LargerError
from agent.manifests import listing
from agent.manifests.documents import File
from agent.manifests.listing import Entry
from agent.values.errors import LimitError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.adapters.oci.packs import Pack
    from agent.api.operator import Limits
    from agent.api.sources import Source
    from agent.manifests.listing import Layer
    from agent.values.errors import AgentError

_LOOKING: Final = 30
"""Seconds that paths are held against globs, as for commits."""


def files(pack: Pack, source: Source, limits: Limits, most: int | None = None) -> Snapshot:
    """In layer order, then by path. Raises SourceError (a layer that is not there), LimitError, SourceUnavailableError, LargerError."""
    until = time.monotonic() + _LOOKING

    def check() -> None:
        if time.monotonic() > until:
            raise LimitError(
                "matching the layers' paths takes too long",
                hint="write fewer globs with fewer wildcards, or layers with fewer files",
                field="spec.source",
                seconds=_LOOKING,
            )

    def leads_to_folder(entry: Entry) -> bool:
        target = listing.link_target(entry.path, pack.read([entry.blob])[entry.blob])
        return target is None or target not in pack.tree

    selection = listing.Selection(source, file_bytes=limits.file_bytes, files=limits.objects, check=check)
    found: list[tuple[Entry, Layer]] = []
    refused: list[tuple[str, AgentError]] = []
    size = 0
    for layer in listing.layers(source):
        entries = list(_below(pack, layer))
        if not entries and layer.path != ".":
            raise SourceError("the artifact has no such folder", hint="check spec.source.layers", layer=layer.path)
        taken, not_taken = selection.of(((each, None) for each in entries), layer, leads_to_folder)
        refused += not_taken
        size += listing.total(taken)
        found += [(entry, layer) for entry in taken]
        if size > limits.manifest_bytes or len(found) > limits.objects:
            raise LimitError(
                "the layers hold more than the agent accepts",
                hint="limits.manifestBytes and limits.objects in the operator's file are the limits",
                layer=layer.path,
            )
    if most is not None and size > most:
        raise LargerError
    contents = pack.read({entry.blob for entry, _ in found})
    return Snapshot(
        tuple(File(entry.path, entry.blob, contents[entry.blob], layer.number) for entry, layer in found),
        tuple(refused),
    )


def _below(pack: Pack, layer: Layer) -> Iterator[Entry]:
    prefix = "" if layer.path == "." else f"{layer.path}/"
    for path, entry in pack.tree.items():
        if path.startswith(prefix):
            yield Entry(listing.SYMLINK if entry.kind == "link" else listing.FILE, entry.blob, entry.size, path)
