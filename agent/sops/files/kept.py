"""How much of a version another one still holds: the author of a file without a private key does not know what was in it before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sops.format.selection import Selected
from agent.sops.format.walk import rewrite
from agent.values.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.sops.files.decrypt import Ivs, Turns
    from agent.sops.format.selection import Selection
    from agent.sops.format.walk import Place, Scalar
    from agent.yaml.nodes import Comment, Mapping


def mostly(version: Ivs, documents: Sequence[Mapping], selection: Selection, *, file: str) -> bool:
    """Whether of the values of documents in the clear that are to be encrypted at least half stand in the same place of a version.

    `version` is what was opened of it. Not where nothing is to be encrypted, which anybody could have known. Raises SopsKeyTypeError.
    """
    counted = _Counted(version.in_turn(version.data_key))
    selected = Selected(selection)
    for document in documents:
        rewrite(document, selected, counted, file=file)
    return 0 < counted.all <= 2 * counted.kept


@dataclass(slots=True)
class _Counted:
    turns: Turns
    all: int = 0
    kept: int = 0

    def value(self, value: Scalar, place: Place) -> Scalar | Comment:
        if place.encrypted and value != "":
            self.all += 1
            self.kept += self.turns.find(value, place.aad) is not None
        return value

    def comment(self, comment: Comment, place: Place) -> Comment | str:
        del place
        return comment
