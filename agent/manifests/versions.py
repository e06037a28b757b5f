"""Which of several names is the newest version within a range.

Ranges are those of Helm and Flux (github.com/Masterminds/semver). node's, whose reader this uses, differ in two ways: a comma stands for
`and`, and one early version in a range lets all early versions count.
"""

from __future__ import annotations

import re
from functools import cmp_to_key
from typing import TYPE_CHECKING, Any, Final

import nodesemver  # pyright: ignore[reportMissingTypeStubs]

from agent.values.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_semver: Final[Any] = nodesemver
_BELOW: Final = re.compile(r"< *v?([0-9][^ ]*)")


def newest(names: Iterable[str], wanted: str, check: Callable[[], None] = lambda: None) -> str | None:
    """The name of the newest version in a range that `VersionRange` of the API lets through; None where there is none.

    A name may begin with `v`. Of names of equal versions, the last by code points counts. Many names take seconds: `check` is called for
    each of them, and may raise. Raises SourceError.
    """
    try:
        parts = dict.fromkeys(each.strip() for each in wanted.replace(",", " ").split("||"))
        sets = [_Set(each) for each in parts]
    except ValueError:
        raise SourceError("not a range of versions", hint="write it as >=1.2.0 <2.0.0, ~1.2 or 1.x") from None
    found: list[tuple[Any, str]] = []
    for name in names:
        check()
        version = _version(name)
        if version is not None and any(each.has(version) for each in sets):
            found.append((version, name))
    return max(found, key=cmp_to_key(_compare))[1] if found else None


class _Set:
    """Comparators that all have to fit."""

    def __init__(self, text: str) -> None:
        (self._comparators,) = _semver.make_range(text, False).set
        self._early: Final = any(getattr(each.semver, "prerelease", ()) for each in self._comparators)
        self._written: Final = frozenset[str](_BELOW.findall(text))

    def has(self, version: Any) -> bool:
        return (self._early or not version.prerelease) and all(self._fits(each, version) for each in self._comparators)

    def _fits(self, comparator: Any, version: Any) -> bool:
        """The end of a range such as `^1` is not written out, and then early versions of what follows are beyond it."""
        if comparator.value.startswith("<") and comparator.value.lstrip("<=") not in self._written:
            return comparator.test(version) and (
                comparator.operator == "<=" or version.compare_main(comparator.semver) < 0
            )
        return comparator.test(version)


def _version(name: str) -> Any:
    try:
        return _semver.valid(name.removeprefix("v"), False)
    except ValueError:
        return None


def _compare(one: tuple[Any, str], other: tuple[Any, str]) -> int:
    return one[0].compare(other[0]) or (one[1] > other[1]) - (one[1] < other[1])
