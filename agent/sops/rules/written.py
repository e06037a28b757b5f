"""What `.sops.yaml` says, before its fields have types: scalars as they are written, in maps and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from agent.values.dataclass import dataclass

if TYPE_CHECKING:
    from agent.yaml.scalars import Resolved


@dataclass(frozen=True, slots=True)
class Written:
    """A scalar: what it means, its text, and its line."""

    value: Resolved
    text: str
    line: int


Node: TypeAlias = "Written | dict[str, Node] | list[Node]"
