"""Which documents of a file were encrypted together: each part has metadata, a data key and a MAC of its own.

sops writes the metadata into every document of a file, and reads the first. But files stand joined in one, each encrypted by itself, with
clear ones between them, and tools that take document by document open them. A copy of the metadata is known by its MAC, which has an iv
of its own. What has no metadata in a file of one part, whose first document sops would read, is of it where values are encrypted, and where
it is not a manifest, since only those are taken document by document: its MAC shows that something was added. All else is clear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops import stores
from agent.values.dataclass import dataclass, field
from agent.values.errors import SopsFormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.sops.format.metadata import Metadata
    from agent.yaml.nodes import Mapping


@dataclass(frozen=True, slots=True)
class Part:
    """Documents without their `sops` entries, and where they stand in the file, from 0. `metadata` None: they are in the clear."""

    numbers: tuple[int, ...]
    documents: tuple[Mapping, ...] = field(repr=False)
    metadata: Metadata | None

    @property
    def line(self) -> int:
        """Where it begins; 0 where nothing is in it."""
        return next((entry.line for document in self.documents for entry in document.entries()), 0)


def of(documents: Sequence[Mapping], *, file: str) -> tuple[Part, ...]:
    """The parts of a file, by their first documents. Raises SopsFormatError.

    A file is one part where no document has metadata, and where all have the same, as sops writes it.
    """
    if len(documents) < 2:
        bare, metadata = stores.split(documents, file=file)
        return (Part(tuple(range(len(bare))), tuple(bare), metadata),)
    # Only here, since most files are one document.
    from agent.sops.format import stripped

    found = [stores.split([document], file=file) for document in documents]
    macs = [metadata.mac if metadata is not None else None for _, metadata in found]
    if all(mac is None for mac in macs):
        return (Part(tuple(range(len(documents))), tuple(documents), None),)
    groups: list[list[int]] = []
    first: dict[str, list[int]] = {}
    one = macs[0] is not None and len({mac for mac in macs if mac is not None}) == 1
    for number, (document, mac) in enumerate(zip(documents, macs, strict=True)):
        hidden = mac is None and stripped.encrypted_line([document]) is not None
        if one and mac is None and (hidden or not _is_manifest(document)):
            groups[0].append(number)
        elif hidden:
            raise SopsFormatError(
                "an encrypted value in a document without sops metadata",
                hint="restore the sops entry of the document",
                file=file,
                line=next((entry.line for entry in document.entries()), 0),
            )
        elif mac is None or mac not in first:
            groups.append([number])
            if mac:
                first[mac] = groups[-1]
        else:
            first[mac].append(number)
    return tuple(
        Part(tuple(group), tuple(each for number in group for each in found[number][0]), found[group[0]][1])
        for group in groups
    )


def _is_manifest(document: Mapping) -> bool:
    return all(isinstance(document.get(key), str) for key in ("apiVersion", "kind"))
