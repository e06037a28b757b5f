"""SOPS files as sops's YAML store loads them: go-yaml v3, ordered, comments among the items, `<<` an ordinary key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.yaml.limits import Limits
from agent.yaml.read import lines

if TYPE_CHECKING:
    from agent.yaml.nodes import Mapping


def parse(data: bytes, *, file: str, limits: Limits | None = None, in_place: bool = False) -> list[Mapping]:
    """The documents of a file, each a map (an explicit empty document is an empty one); none of a file that holds no document.

    Stricter than sops where sops would lose a value: duplicate keys are refused in every document, and so are scalars that
    their tag does not fit and keys that are maps or lists. `in_place` is `builder.build`'s. Raises YamlError with file, line and
    column, and LimitError.
    """
    limits = limits or Limits()
    read = lines.read(data, limits=limits)
    if read is not None:
        return [read.document]
    # Only here, since most files do without libyaml, which takes its time to load.
    from agent.yaml.read import builder

    return builder.build(data, file=file, limits=limits, in_place=in_place)
