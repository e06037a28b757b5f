"""Items that come to a map or list, go from it or change their kind, as edits of whole lines, or between the commas of flow style."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values.dataclass import dataclass, replace
from agent.yaml import fragments, list_comments
from agent.yaml.matching import positions
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence
from agent.yaml.spans import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence as List

    from agent.yaml.matching import Item
    from agent.yaml.nodes import Value
    from agent.yaml.rewriting import Place, Rewriter
    from agent.yaml.spans import Node


@dataclass(slots=True)
class _Cut:
    """What goes: whole lines, or a part of one."""

    start: int
    end: int
    lines: bool = True


class Restructuring:
    """One map or list. `pairs` says for each new item which old one it continues; `plan` takes pairs out that cannot be kept."""

    def __init__(
        self, rewriter: Rewriter, node: Node, old: List[Item], new: List[Item], *, pairs: list[int], place: Place
    ) -> None:
        self._rewriter = rewriter
        self._text = rewriter.text
        self._lines = rewriter.lines
        self._node = node
        self._old = old
        self._new = new
        self._pairs = pairs
        self._place = place
        self._edits: list[tuple[int, int, str]] = []
        self._children: list[int] = []
        self._behind: dict[str, str] = {}

    @property
    def plain(self) -> bool:
        """Whether every item is continued by one of its kind."""
        return len(self._old) == len(self._pairs) and all(
            at >= 0 and isinstance(self._old[at], Comment) is isinstance(item, Comment)
            for at, item in zip(self._pairs, self._new, strict=True)
        )

    def plan(self) -> bool:
        """Put the edits; False, with nothing done, where the whole must be rewritten."""
        self._children = positions(self._old)
        behind = list_comments.behind_flow(self._text, self._lines, self._node, self._old, self._new)
        if behind is not None:
            self._edits += behind
            self._pairs[:] = [*range(len(self._new))]
            done = True
        elif not self._node.children:
            return False
        elif self._node.flow:
            done = self._flow()
        else:
            self._loosen()
            done = self._stands() and self._block()
        if done:
            for start, end, text in self._edits:
                self._rewriter.put(start, end, text)
        return done

    def _stands(self) -> bool:
        """Whether an item stays; a document with a `---` stands with its comments alone."""
        kept = [at for at in self._pairs if at >= 0]
        if self._place.column < 0 and self._rewriter.explicit and len(kept) == len(self._new) > 0:
            return True
        return any(not isinstance(self._old[at], Comment) for at in kept)

    # Places

    def _first(self, at: int) -> int:
        item = self._old[at]
        if isinstance(item, Comment):
            return item.at
        number = self._children[at]
        if isinstance(item, Entry):
            return self._node.children[2 * number].start
        return self._node.children[number].start if self._node.flow else self._rewriter.dash(self._node, number)

    def _last(self, at: int) -> int:
        item = self._old[at]
        if isinstance(item, Comment):
            return item.at + 1 + len(item.text)
        number = self._children[at]
        if isinstance(item, Entry):
            key, value = self._node.children[2 * number], self._node.children[2 * number + 1]
            return max(key.end, self._rewriter.last(value, item.value))
        return max(self._first(at) + 1, self._rewriter.last(self._node.children[number], item))

    def _alone(self, at: int) -> bool:
        """Whether an item is the first thing on its line."""
        first = self._first(at)
        start = self._lines.start(first)
        # Not by a slice: a line may hold all of a large file.
        while first > start and self._text[first - 1] in " \t":
            first -= 1
        return first == start

    # Flow style

    def _flow(self) -> bool:
        for at, item in zip(self._pairs, self._new, strict=True):
            if isinstance(item, Comment) and (at < 0 or not isinstance(self._old[at], Comment)):
                return False
            if at >= 0 and isinstance(self._old[at], Comment) and not isinstance(item, Comment):
                return False
        used = set(self._pairs)
        gone = [at for at in range(len(self._old)) if at not in used]
        if any(isinstance(item, Comment) for item in self._old):
            return False
        if not any(at >= 0 for at in self._pairs) or not self._text.startswith(("{", "["), self._node.content):
            return False
        kept = [at for at in self._pairs if at >= 0]
        for at in gone:
            if at < kept[0]:
                self._edits.append((self._first(at), self._first(at + 1), ""))
            else:
                self._edits.append((self._last(at - 1), self._last(at), ""))
        self._flow_insertions(kept)
        return True

    def _flow_insertions(self, kept: list[int]) -> None:
        previous = -1
        for at, item in zip(self._pairs, self._new, strict=True):
            if at >= 0:
                previous = at
                continue
            value: Value = Mapping((item,)) if isinstance(item, Entry) else Sequence((item,))  # pyright: ignore[reportArgumentType]
            gap = self._gap(kept[0] if previous < 0 else previous)
            text = self._flow_item(value, gap)
            if previous < 0:
                self._edits.append((self._first(kept[0]), self._first(kept[0]), f"{text},{gap}"))
            else:
                self._edits.append((self._last(previous), self._last(previous), f",{gap}{text}"))

    def _flow_item(self, value: Value, gap: str) -> str:
        layout, newline = self._rewriter.layout, self._rewriter.layout.newline
        one_line = fragments.flow(value, replace(layout, spread=None), "")[1:-1]
        if layout.spread is None or newline not in gap:
            return one_line
        base = gap.removeprefix(newline)
        written = fragments.flow(value, layout, base.removesuffix(layout.spread))
        return written[1:-1].strip() if base.endswith(layout.spread) else one_line

    def _gap(self, at: int) -> str:
        """What separates an item from the one before it: a line of its own, or a space."""
        if not self._alone(at):
            return "" if self._rewriter.layout.tight else " "
        first = self._first(at)
        return self._rewriter.layout.newline + self._text[self._lines.start(first) : first]

    # Block style

    def _loosen(self) -> None:
        """Take apart the pairs whose text cannot stay in place: comments behind what goes or moves, items that share a line."""
        pairs, old, new = self._pairs, self._old, self._new
        document_end = self._place.column < 0 and -1 in pairs
        for number, at in enumerate(pairs):
            if at < 0:
                continue
            former, item = old[at], new[number]
            if isinstance(former, Comment) is not isinstance(item, Comment):
                if not self._alone(at) or self._noted(at):
                    pairs[number] = -1
                    self._remember(number, at)
            elif isinstance(former, Comment) and not self._alone(at) and not (number == at == 0 and self._opens(at)):
                behind = number + 1 < len(pairs) and pairs[number + 1] == at + 1
                if not behind or not self._continues(number + 1):
                    pairs[number] = -1
        if document_end:
            self._gather()

    def _remember(self, number: int, at: int) -> None:
        """That an encrypted comment stood behind the item that follows it."""
        former, item = self._old[at], self._new[number]
        if number + 1 < len(self._pairs) and self._pairs[number + 1] == at + 1 and isinstance(former, Comment):
            self._behind |= list_comments.behind(self._text, former, item)

    def _gather(self) -> None:
        """Take apart the comments that stand outside of their document, behind its end or before its `---`, if items come before."""
        come = False
        for number, at in enumerate(self._pairs):
            if at < 0:
                come = True
            elif isinstance(self._old[at], Comment):
                first = self._first(at)
                if first >= self._rewriter.bounds[1] or (come and first < self._node.start):
                    self._pairs[number] = -1

    def _opens(self, at: int) -> bool:
        """Whether a comment stands behind the `---` of its document."""
        first = self._first(at)
        return self._place.column < 0 and self._text[self._lines.start(first) : first].strip() == "---"

    def _continues(self, number: int) -> bool:
        """Whether a new item stays what and where it was."""
        at = self._pairs[number]
        return at >= 0 and isinstance(self._old[at], Comment) is isinstance(self._new[number], Comment)

    def _noted(self, at: int) -> bool:
        """Whether a comment stands behind an item on its last line."""
        last = self._last(at)
        return not isinstance(self._old[at], Comment) and bool(self._text[last : self._lines.end(last)].strip())

    def _block(self) -> bool:
        gaps = self._gaps()
        for number, at in enumerate(self._pairs):
            if at >= 0 and isinstance(self._old[at], Comment) is not isinstance(self._new[number], Comment):
                self._edits += self._exchanged(number, at)
        return all(self._fill(*gap) for gap in gaps)

    def _exchanged(self, number: int, at: int) -> list[tuple[int, int, str]]:
        """The edits of a comment that becomes an item, or the other way round."""
        start, end = self._lines.start(self._first(at)), self._lines.end(self._last(at))
        former, item, node = self._old[at], self._new[number], self._node
        found: list[tuple[int, int, str]] | None = None
        if isinstance(former, Comment):
            found = list_comments.sealed(former, item, start, end, node.column)
        elif isinstance(item, Comment) and list_comments.is_sealed(former):
            stays = number + 1 < len(self._pairs) and self._pairs[number + 1] == at + 1 and self._continues(number + 1)
            follows = stays and not isinstance(self._old[at + 1], Comment)
            following = node.children[self._children[at + 1]] if follows else None
            child = node.children[self._children[at]]
            found = list_comments.opened(self._text, self._lines, child, item, following=following, column=node.column)
        return found or [(start, end, self._rewriter.layout.newline.join(self._written([item])))]

    def _gaps(self) -> Iterator[tuple[int, int, list[Item]]]:
        """What is between two items that stay: the first old index behind one, that of the next, and the new items there."""
        before = 0
        added: list[Item] = []
        for at, item in zip((*self._pairs, len(self._old)), (*self._new, None), strict=True):
            if at < 0:
                added.append(item)
                continue
            if before < at or added:
                yield before, at, added
                added = []
            before = at + 1

    def _fill(self, before: int, after: int, added: list[Item]) -> bool:
        newline = self._rewriter.layout.newline
        text = "".join(line + newline for line in self._written(added, last=after == len(self._old))) if added else ""
        if before < after and self._follows_dash(before, after):
            shared = text.lstrip(" ") + " " * self._node.column if text else ""
            self._edits.append((self._first(before), self._first(after), shared))
            return True
        cuts = self._cuts(before, after)
        if cuts is None:
            return False
        lines = [cut for cut in cuts if cut.lines]
        place = next((cut.start for cut in lines if self._within(cut.start)), None)
        if place is not None and text:
            self._edits.append((place, place, text))
        elif text:
            found = self._insertion(before, after)
            if found is None:
                return False
            at, shares = found
            self._edits.append((at, at, text.lstrip(" ") + " " * self._node.column if shares else text))
        elif lines:
            self._close_gap(lines[-1], self._last(before - 1) if before else -1)
        self._edits += [(cut.start, cut.end, "") for cut in cuts]
        return True

    def _within(self, at: int) -> bool:
        """Whether a place is not before the `---` or behind the end of its document."""
        start, end = self._rewriter.bounds
        return self._place.column >= 0 or start <= at < end

    def _follows_dash(self, before: int, after: int) -> bool:
        """Whether what goes begins behind a dash, and what stays has a line of its own."""
        if before or after == len(self._old) or self._alone(before) or isinstance(self._old[before], Comment):
            return False
        return self._alone(after) and not self._text[self._last(after - 1) : self._first(after)].strip()

    def _close_gap(self, cut: _Cut, floor: int) -> None:
        """Of the blank lines before and behind what goes, only those behind it stay."""
        if cut.end < len(self._text) and self._text[cut.end : self._lines.end(cut.end)].strip():
            return
        while cut.start > max(floor, 0):
            start = self._lines.start(cut.start - 1)
            if start <= floor or self._text[start : cut.start].strip():
                return
            cut.start = start

    def _insertion(self, before: int, after: int) -> tuple[int, bool] | None:
        """Where new lines go, and whether what follows shares its line with something before it."""
        outside = (
            before > 0 and isinstance(self._old[before - 1], Comment) and self._first(before - 1) < self._node.start
        )
        if before > 0 and not (outside and after < len(self._old)):
            if not isinstance(self._old[before - 1], Comment) or self._alone(before - 1):
                return self._lines.after(self._reached(before - 1)), False
            return None
        if after == len(self._old):
            return None
        first = self._first(after)
        behind = after
        while isinstance(self._old[behind], Comment) and behind + 1 < len(self._old):
            behind += 1
            first = min(first, self._first(behind))
        if self._text[self._lines.start(first) : first].strip():
            return first, True
        return self._lines.start(first), False

    def _reached(self, at: int) -> int:
        """Where an item and all before it end: a comment may stand above what belongs deeper."""
        end = self._last(at)
        while at and isinstance(self._old[at], Comment):
            at -= 1
            end = max(end, self._last(at))
        return end

    def _cuts(self, before: int, after: int) -> list[_Cut] | None:
        """The lines of the old items from `before` to `after`; None where they share a line with something that stays."""
        cuts: list[_Cut] = []
        for at in range(before, after):
            item = self._old[at]
            first, last = self._first(at), self._last(at)
            if isinstance(item, Comment) and not self._alone(at):
                line = self._lines.start(first)
                cuts.append(_Cut(line + len(self._text[line:first].rstrip(" \t")), last, lines=False))
                continue
            if not self._alone(at):
                return None
            cuts.append(_Cut(self._lines.start(first), self._lines.after(last)))
        merged: list[_Cut] = []
        for cut in sorted(cuts, key=lambda each: each.start):
            if merged and cut.end <= merged[-1].end:
                continue
            if merged and merged[-1].lines and cut.lines and not self._text[merged[-1].end : cut.start].strip():
                merged[-1].end = cut.end
            else:
                merged.append(cut)
        return merged

    def _written(self, items: list[Item], *, last: bool = False) -> list[str]:
        """New items as lines; `last` where they end a document, should this be its top."""
        column, layout = self._node.column, self._rewriter.layout
        if self._node.kind is not Kind.MAPPING:
            lines = fragments.block(Sequence(tuple(items)), column, layout)  # pyright: ignore[reportArgumentType]
            return [
                " " * column + self._behind[line[column:]] if line[column:] in self._behind else line for line in lines
            ]
        if last and self._place.column < 0:
            return fragments.document_end(items, layout, self._rewriter.indent)
        return fragments.block(Mapping(tuple(items)), column, layout)  # pyright: ignore[reportArgumentType]
