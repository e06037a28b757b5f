"""The items of maps and lists as a merge sees them: each with the comments before it, and which ones of three versions belong together."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from agent.gitmerge import hunks as list_hunks
from agent.values.dataclass import dataclass, replace
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from collections.abc import Sequence as Many

    from agent.yaml.nodes import Value


@dataclass(frozen=True, slots=True)
class Block:
    """An entry of a map, or an item of a list as `item`, behind its comments. `bare`: nothing but comments is left."""

    entry: Entry | None
    comments: tuple[Comment, ...] = ()
    item: Value = None
    bare: bool = False

    @property
    def value(self) -> Value:
        return self.entry.value if self.entry is not None else self.item


@dataclass(frozen=True, slots=True)
class Region:
    """What one or both sides made of some items of the base; `at` is their number in the merged list, as far as our side shows it."""

    at: int
    base: Many[Block]
    ours: Many[Block]
    theirs: Many[Block]


def entries(node: Mapping) -> tuple[dict[str, Block], tuple[Comment, ...]]:
    """The entries by key, and the comments behind the last."""
    found: dict[str, Block] = {}
    pending: list[Comment] = []
    for item in node.items:
        if isinstance(item, Comment):
            pending.append(item)
        else:
            found[item.key if isinstance(item.key, str) else repr(item.key)] = Block(item, tuple(pending))
            pending.clear()
    return found, tuple(pending)


def items(node: Sequence) -> tuple[list[Block], tuple[Comment, ...]]:
    """The items in turn, and the comments behind the last."""
    found: list[Block] = []
    pending: list[Comment] = []
    for item in node.items:
        if isinstance(item, Comment):
            pending.append(item)
        else:
            found.append(Block(None, tuple(pending), item))
            pending.clear()
    return found, tuple(pending)


def unrepeated(foot: tuple[Comment, ...], base: Many[Block], ours: Many[Block], theirs: Many[Block]) -> list[Block]:
    """`theirs` without the comments at the end of the base, where both sides put something new behind these."""
    texts = [each.text for each in foot]

    def behind(blocks: Many[Block]) -> int | None:
        found = (n for n, each in enumerate(blocks) if [note.text for note in each.comments[: len(foot)]] == texts)
        return next(found, None)

    at = behind(theirs) if foot else None
    if at is None or behind(base) is not None or behind(ours) is None:
        return list(theirs)
    return [*theirs[:at], replace(theirs[at], comments=theirs[at].comments[len(foot) :]), *theirs[at + 1 :]]


def named(blocks: Many[Block]) -> dict[str, Block] | None:
    """Items by their `name`; None where one has none, or two have the same."""
    found: dict[str, Block] = {}
    for block in blocks:
        name = block.item.get("name") if isinstance(block.item, Mapping) else None
        if not isinstance(name, str) or name in found:
            return None
        found[name] = block
    return found


def mapping(blocks: Many[Block], last: tuple[Comment, ...]) -> Mapping:
    """The merged map, `last` at its end."""
    merged: list[Entry | Comment] = []
    for block in blocks:
        merged += block.comments
        if block.entry is not None:
            merged.append(block.entry)
    return Mapping((*merged, *last))


def sequence(blocks: Many[Block], last: tuple[Comment, ...]) -> Sequence:
    """The merged list."""
    merged: list[Value | Comment] = []
    for block in blocks:
        merged += block.comments
        if not block.bare:
            merged.append(block.item)
    return Sequence((*merged, *last))


def comments(base: tuple[Comment, ...], ours: tuple[Comment, ...], theirs: tuple[Comment, ...]) -> tuple[Comment, ...]:
    """The comments of one place: what a side took out is gone, what either added is there."""
    if _texts(base) == _texts(ours):
        return theirs
    if _texts(base) == _texts(theirs) or _texts(ours) == _texts(theirs):
        return ours
    gone = set(_texts(base)) - set(_texts(theirs))
    kept = tuple(each for each in ours if each.text not in gone)
    return (*kept, *(each for each in added(base, theirs) if each.text not in _texts(ours)))


def added(base: tuple[Comment, ...], side: tuple[Comment, ...]) -> tuple[Comment, ...]:
    """Those of a side that the base has not."""
    known = set(_texts(base))
    return tuple(each for each in side if each.text not in known)


def _texts(found: tuple[Comment, ...]) -> list[str]:
    return [each.text for each in found]


def order(base: list[str], ours: list[str], theirs: list[str]) -> list[str]:
    """All keys of both sides: in the order of the side that changed it, else ours, each new one behind its predecessor."""
    if _moved(base, theirs) and not _moved(base, ours):
        ours, theirs = theirs, ours
    merged = list(ours)
    places = {key: number for number, key in enumerate(merged)}
    shared = {*base, *theirs}
    behind: dict[int, list[str]] = {}
    at = -1
    for key in theirs:
        if key in places:
            at = places[key]
            continue
        # What our side put there comes first.
        while at + 1 < len(merged) and merged[at + 1] not in shared:
            at += 1
        behind.setdefault(at, []).append(key)
    result = list(behind.get(-1, []))
    for number, key in enumerate(merged):
        result += (key, *behind.get(number, []))
    return result


def _moved(base: list[str], side: list[str]) -> bool:
    old, new = set(base), set(side)
    return [key for key in base if key in new] != [key for key in side if key in old]


def form(value: Value | Comment | Entry) -> Hashable:
    """A value that is equal to another's exactly where they are the same with their types, comments included."""
    if isinstance(value, Mapping | Sequence):
        return (type(value).__name__, *map(form, value.items))
    if isinstance(value, Entry):
        return ("entry", form(value.key), form(value.value))
    if isinstance(value, Comment):
        return ("comment", value.text)
    return (type(value).__name__, repr(value))


def alike(one: Many[Block], other: Many[Block]) -> bool:
    return [form(each.value) for each in one] == [form(each.value) for each in other]


# Lists

_Hunk = tuple[int, int, int, int]


def regions(base: Many[Block], ours: Many[Block], theirs: Many[Block]) -> Iterator[Region]:
    """The lists cut so that changes of both sides to the same items, or at the same place, lie in one region."""
    sides = (deque(_hunks(base, ours)), deque(_hunks(base, theirs)))
    # Where in the two sides what is item `at` of the base stands, as far as it is left.
    at, shifts = 0, [0, 0]

    def cut(end: int, after: list[int]) -> Region:
        mine, other = (slice(at + old, end + new) for old, new in zip(shifts, after, strict=True))
        return Region(mine.start, base[at:end], ours[mine], theirs[other])

    while any(sides):
        start, end = min(hunks[0][:2] for hunks in sides if hunks)
        while at < start:
            yield cut(at + 1, shifts)
            at += 1
        after = list(shifts)
        grown = True
        while grown:
            grown = False
            for side, hunks in enumerate(sides):
                while hunks and _meet(hunks[0], start, end):
                    _, stop, _, new_stop = hunks.popleft()
                    end, after[side], grown = max(end, stop), new_stop - stop, True
        yield cut(end, after)
        at, shifts = end, after
    while at < len(base):
        yield cut(at + 1, shifts)
        at += 1


def _meet(hunk: _Hunk, start: int, end: int) -> bool:
    if start == end:
        return hunk[:2] == (start, end)
    return hunk[0] < end and (hunk[1] > start)


def _hunks(base: Many[Block], side: Many[Block]) -> list[_Hunk]:
    """What a side changed, as ranges of the base and of its own; one item for one is a hunk of its own."""
    found: list[_Hunk] = []
    before, after = ([form(each.value) for each in blocks] for blocks in (base, side))
    for kind, start, end, new, new_end in list_hunks.changes(before, after):
        if kind == "equal":
            continue
        if end - start == new_end - new:
            found += [(start + n, start + n + 1, new + n, new + n + 1) for n in range(end - start)]
        else:
            found.append((start, end, new, new_end))
    return found
