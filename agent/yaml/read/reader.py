"""What reads the files of SOPS: one interface, whatever the file is written in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agent.yaml.limits import Limits
    from agent.yaml.nodes import Mapping


class Reader(Protocol):
    """A reader. Those of YAML give the same documents for the same bytes, where they give any."""

    def __call__(self, data: bytes, *, file: str, limits: Limits, in_place: bool = False) -> list[Mapping] | None:
        """The documents of a file, each a map; None for a file that this reader leaves to the next one.

        `in_place`: of a text that stays as it is, as `builder.build` explains. Raises YamlError with file, line and column, and
        LimitError.
        """
        ...
