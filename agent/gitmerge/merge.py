"""Three trees become one: what changed on one side is taken, and only what changed on both, in two ways, is a conflict.

Maps are merged by key, lists by what stayed of the base, and those whose items are maps with a `name` by it. A comment belongs to the
entry that it stands before, and is never a conflict: comments of both sides are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.gitmerge import items as merge_items
from agent.gitmerge.items import Block
from agent.values.dataclass import dataclass, field
from agent.values.tree import format_path
from agent.yaml.matching import same
from agent.yaml.nodes import Entry, Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence as Many

    from agent.values.tree import Path
    from agent.yaml.nodes import Value

Blocks = dict[str, Block]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A place that both sides changed. `document` counts from 0; `path` has keys and numbers, nothing confidential."""

    document: int
    path: Path

    @property
    def field(self) -> str:
        place = format_path(self.path) or "the whole file"
        return f"document {self.document + 1}: {place}" if self.document else place


@dataclass(frozen=True, slots=True)
class Merged:
    """The merged documents: with ours in each conflict, and with theirs. Without conflicts the two are the same."""

    documents: tuple[Mapping, ...] = field(repr=False)
    theirs: tuple[Mapping, ...] = field(repr=False)
    conflicts: tuple[Conflict, ...] = ()


def merge(base: Many[Mapping], ours: Many[Mapping], theirs: Many[Mapping]) -> Merged:
    """Documents in the clear: by number where there are as many, else as the items of a list.

    `base` is empty where the sides have no common ancestor: then what is on one side only was added there.
    """
    if not base and len(ours) == len(theirs):
        base = [Mapping()] * len(ours)
    merging = _Merging(theirs=False)
    documents = merging.documents(base, ours, theirs)
    if not merging.conflicts:
        return Merged(documents, documents)
    other = _Merging(theirs=True).documents(base, ours, theirs)
    return Merged(documents, other, tuple(dict.fromkeys(merging.conflicts)))


@dataclass(slots=True)
class _Merging:
    """One pass, which takes one side's part of each conflict: `theirs` or ours."""

    theirs: bool
    conflicts: list[Conflict] = field(default_factory=list[Conflict])
    document: int = 0

    def documents(self, base: Many[Mapping], ours: Many[Mapping], theirs: Many[Mapping]) -> tuple[Mapping, ...]:
        if len(base) != len(ours) or len(ours) != len(theirs):
            if not base:
                self._conflict(())
                return tuple(theirs if self.theirs else ours)
            whole = self._sequence(Sequence(tuple(base)), Sequence(tuple(ours)), Sequence(tuple(theirs)), ())
            return tuple(item for item in whole.items if isinstance(item, Mapping))
        merged: list[Mapping] = []
        for number, versions in enumerate(zip(base, ours, theirs, strict=True)):
            self.document = number
            merged.append(self._mapping(*versions, ()))
        return tuple(merged)

    def _conflict(self, path: Path) -> None:
        self.conflicts.append(Conflict(self.document, path))

    def _mapping(self, base: Mapping, ours: Mapping, theirs: Mapping, path: Path) -> Mapping:
        if (plain := _unopposed(base, ours, theirs)) is not None:
            assert isinstance(plain, Mapping)
            return plain
        (old, base_foot), (mine, foot), (other, other_foot) = map(merge_items.entries, (base, ours, theirs))
        parts = [list(each.values()) for each in (old, mine, other)]
        other = dict(zip(other, merge_items.unrepeated(base_foot, *parts), strict=True))
        blocks = self._keyed(old, mine, other, lambda key: (*path, key))
        return merge_items.mapping(blocks, merge_items.comments(base_foot, foot, other_foot))

    def _keyed(self, base: Blocks, ours: Blocks, theirs: Blocks, place: Callable[[str], Path]) -> list[Block]:
        merged: list[Block] = []
        for key in merge_items.order(list(base), list(ours), list(theirs)):
            block = self._block(base.get(key), ours.get(key), theirs.get(key), place(key))
            if block is not None:
                merged.append(block)
        return merged

    def _block(self, base: Block | None, ours: Block | None, theirs: Block | None, path: Path) -> Block | None:
        """One entry or item; None where it is gone."""
        if ours is None or theirs is None:
            stays = ours or theirs
            if base is None or stays is None:
                return stays
            if same(base.value, stays.value):
                return Block(None, merge_items.added(base.comments, stays.comments), bare=True)
            self._conflict(path)
            return theirs if self.theirs else ours
        old = base.comments if base is not None else ()
        lead = merge_items.comments(old, ours.comments, theirs.comments)
        value = self._value(base, ours.value, theirs.value, path)
        if ours.entry is None:
            return Block(None, lead, value)
        return Block(Entry(ours.entry.key, value, ours.entry.line), lead)

    def _value(self, base: Block | None, ours: Value, theirs: Value, path: Path) -> Value:
        if same(ours, theirs):
            return ours
        if base is not None:
            if same(base.value, ours):
                return theirs
            if same(base.value, theirs):
                return ours
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            old = base.value if base is not None and isinstance(base.value, Mapping) else Mapping()
            return self._mapping(old, ours, theirs, path)
        if isinstance(ours, Sequence) and isinstance(theirs, Sequence):
            old = base.value if base is not None else None
            if isinstance(old, Sequence):
                return self._sequence(old, ours, theirs, path)
        self._conflict(path)
        return theirs if self.theirs else ours

    def _sequence(self, base: Sequence, ours: Sequence, theirs: Sequence, path: Path) -> Sequence:
        if (plain := _unopposed(base, ours, theirs)) is not None:
            assert isinstance(plain, Sequence)
            return plain
        (old, base_foot), (mine, foot), (other, other_foot) = map(merge_items.items, (base, ours, theirs))
        last = merge_items.comments(base_foot, foot, other_foot)
        other = merge_items.unrepeated(base_foot, old, mine, other)
        named = [merge_items.named(each) for each in (old, mine, other)]
        if all(each is not None for each in named):
            by_name, my_names, other_names = (each or {} for each in named)
            numbers = {name: number for names in (other_names, my_names) for number, name in enumerate(names)}
            blocks = self._keyed(by_name, my_names, other_names, lambda name: (*path, numbers[name]))
            return merge_items.sequence(blocks, last)
        merged: list[Block] = []
        for region in merge_items.regions(old, mine, other):
            merged += self._region(region, (*path, region.at))
        return merge_items.sequence(merged, last)

    def _region(self, region: merge_items.Region, path: Path) -> list[Block]:
        base, ours, theirs = region.base, region.ours, region.theirs
        if len(base) == len(ours) == len(theirs):
            at = path[-1]
            assert isinstance(at, int)
            found = [
                self._block(*versions, (*path[:-1], at + number))
                for number, versions in enumerate(zip(base, ours, theirs, strict=True))
            ]
            return [each for each in found if each is not None]
        if not base:
            mine = [merge_items.form(each.value) for each in ours]
            return [*ours, *(each for each in theirs if merge_items.form(each.value) not in mine)]
        if merge_items.alike(base, ours):
            return list(theirs)
        if merge_items.alike(base, theirs) or merge_items.alike(ours, theirs):
            return list(ours)
        self._conflict(path)
        return list(theirs if self.theirs else ours)


def _unopposed(base: Value, ours: Value, theirs: Value) -> Value:
    """The whole where one side alone changed something, or both the same; else None."""
    if same(base, ours):
        return theirs
    return ours if same(base, theirs) or same(ours, theirs) else None
