"""Fields of a payload, as far as they are what they should be: so many and so long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST: Final = 64
_LONGEST: Final = 1024


def texts(found: Iterator[object]) -> Iterator[str]:
    """Those of the first ones that are texts."""
    for number, each in enumerate(found):
        if number >= _MOST:
            return
        if isinstance(each, str) and len(each) <= _LONGEST:
            yield each


def part(place: dict[str, Any], name: str) -> dict[str, Any]:
    """The object in a field; an empty one where there is none."""
    found = place.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def parts(place: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The objects of a list."""
    found = place.get(name)
    for each in cast("list[object]", found)[:_MOST] if isinstance(found, list) else ():
        if isinstance(each, dict):
            yield cast("dict[str, Any]", each)
