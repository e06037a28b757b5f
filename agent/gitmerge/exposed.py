"""What a merged file would show in the clear though a side has it encrypted, since a selection or a comment came from the other side."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from agent.sops.format import cipher
from agent.sops.format.selection import EVERYTHING, Selected
from agent.sops.format.walk import rewrite
from agent.values.dataclass import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.sops.files.decrypt import Ivs
    from agent.sops.format.selection import Selection
    from agent.sops.format.walk import Place, Scalar
    from agent.yaml.nodes import Comment, Mapping

Use: TypeAlias = "tuple[str, bytes, str]"
"""A value with its type, and what it is bound to."""


@dataclass(frozen=True, slots=True)
class Version:
    """One side in the clear. `selection` None: it was not encrypted at all."""

    documents: Sequence[Mapping] = field(repr=False)
    selection: Selection | None
    ivs: Ivs


def exposed(documents: Sequence[Mapping], selection: Selection, sides: Sequence[Version], *, file: str) -> str:
    """The first such place, or nothing. What a side has in the clear already is shown there. Raises SopsKeyTypeError."""
    shown = _in_clear(documents, selection, file)
    hidden = {use(value, aad) for side in sides for value, aad, _ in side.ivs.kept}
    if hidden.isdisjoint(shown):
        return ""
    public = {each for side in sides for each in _in_clear(side.documents, side.selection, file)}
    return next((where for each, where in shown.items() if each in hidden and each not in public), "")


def use(value: cipher.Text, aad: str) -> Use:
    """What distinguishes a value in its place from others."""
    return cipher.type_of(value), cipher.plain_bytes(value), aad


def _in_clear(documents: Sequence[Mapping], selection: Selection | None, file: str) -> dict[Use, str]:
    visitor = _InClear(everything=selection is None)
    for document in documents:
        rewrite(document, Selected(selection or EVERYTHING), visitor, file=file)
    return visitor.found


@dataclass(slots=True)
class _InClear:
    everything: bool
    found: dict[Use, str] = field(default_factory=dict["tuple[str, bytes, str]", str], repr=False)

    def value(self, value: Scalar, place: Place) -> Scalar | Comment:
        if self.everything or not place.encrypted:
            self.found.setdefault(use(value, place.aad), place.field)
        return value

    def comment(self, comment: Comment, place: Place) -> Comment | str:
        if self.everything or not place.encrypted:
            self.found.setdefault(use(comment, place.aad), place.field)
        return comment
