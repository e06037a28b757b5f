"""A whole commit as `git ls-tree -r -z -l` lists it: every layer of it is a part that lies together."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.manifests import listing
from agent.manifests.documents import TreeEntry

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES: Final = 4 * 1024 * 1024
"""Of a listing that is shared, some 40,000 files; the layers of a larger one are listed each on its own."""
_TAKES: Final = 8
"""How many bytes one of a listing takes with what is made of it, its paths by name above all."""
_AT_LEAST: Final = 1024


@dataclass(slots=True)
class Tree:
    """`data` in the order of Git, which is that of the paths' bytes; `starts` says where its lines begin.

    Without `data` it is too large to be shared, or out of order, as nothing but a hand-made tree is.
    """

    data: bytes | None
    starts: array[int] = field(default_factory=lambda: array("I"))
    _entries: dict[str, TreeEntry] | None = None

    @classmethod
    def of(cls, data: bytes | None) -> Tree:
        """From what git printed; None for more than is shared."""
        if data is None:
            return cls(None)
        starts, before, at = array("I"), b"", 0
        while at < len(data):
            name = data[data.index(b"\t", at) + 1 : data.index(b"\0", at)]
            if name < before:
                return cls(None)
            starts.append(at)
            before, at = name, data.index(b"\0", at) + 1
        return cls(data, starts)

    @property
    def weight(self) -> int:
        """Bytes that it takes, about."""
        return _AT_LEAST + _TAKES * len(self.data or b"")

    def below(self, layer: listing.Layer) -> bytes | None:
        """The lines of a layer; None where the commit has no such folder."""
        assert self.data is not None
        if layer.path == ".":
            return self.data
        prefix = layer.path.encode()
        low, high = (bisect_left(self.starts, prefix + end, key=self._name) for end in (b"/", b"0"))
        if low == high:
            return None
        return self.data[self.starts[low] : self.starts[high] if high < len(self.starts) else None]

    def entries(self) -> Mapping[str, TreeEntry]:
        """What lies at each path, except those that are no UTF-8. Made once."""
        if self._entries is None:
            self._entries = entries(self.data or b"")
        return self._entries

    def _name(self, start: int) -> bytes:
        assert self.data is not None
        return self.data[self.data.index(b"\t", start) + 1 : self.data.index(b"\0", start)]


def entries(data: bytes, most: int | None = None) -> dict[str, TreeEntry]:
    """The paths of a commit's listing, up to one more than `most`."""
    found: dict[str, TreeEntry] = {}
    for entry, error in listing.parse(data, listing.Layer(0, ".")):
        if error is None:
            found[entry.path] = TreeEntry(entry.blob, entry.size, listing.KINDS.get(entry.mode, "file"))
        if most is not None and len(found) > most:
            break
    return found
