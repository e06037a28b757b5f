"""Where comments stand to sops: which of them are above, behind or below what, found from the gaps between libyaml's events.

libyaml drops comments, but its events carry marks: what lies between two of them is only blanks, indicators and comments. What is
said here is how sops was seen to treat comments; tests/sops/commented and tests/vectors/yaml show each case.

A comment behind something belongs to it. Comments on lines of their own make runs, which blank lines do not part. A run is the foot
of what stands above it where it touches that and a blank line or the end of the file follows, where a line follows that is less
indented than the open block, but not as the run is, and where a flow collection ends. Else it is the head of what follows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.values.dataclass import dataclass
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.yaml.nodes import Value

_BREAKS = "\n\r\x85\u2028\u2029"
_BREAK = re.compile(f"\r\n|[{_BREAKS}]")
_HALF = re.compile(f"[{_BREAKS}]")
_BLANKS = f" \t{_BREAKS}"
_PIECE = re.compile(rf"#[^{_BREAKS}]*|[&!][^\s,\[\]{{}}]*|[^\s#]")
_BEHIND = re.compile(f"[ \t]*(?:,[ \t]*)?#([^{_BREAKS}]*)")
_HEADER = re.compile(f"[^#{_BREAKS}]*[|>][-+0-9]*[ \t]+#([^{_BREAKS}]*)")

VALUE = "value"
"""What stands above a gap: an event of text. Else it is an indicator (`:` and `-` of an empty value, `---`) or nothing."""
EARLY = -1
"""Before every place of a text."""


@dataclass(slots=True)
class Run:
    """Comments on lines of their own, or behind an indicator, from `begin` on.

    `above`: they belong to the event above the gap. A foot that does not counts from `place` on: a block that ends may be behind it.
    `line`: a comment behind an indicator, tag or anchor.
    """

    comments: list[Comment]
    begin: int
    column: int
    foot: bool = False
    line: bool = False
    above: bool = False
    place: int = EARLY


class Gaps:
    """The gaps of one text, asked for in file order. `text` is empty where the file has no `#`: then every answer is."""

    def __init__(self, data: bytes) -> None:
        self.text = data.decode("utf-8-sig", "replace") if b"#" in data else ""
        self._at = 0
        self._next = self.text.find("#")
        self._line = 0
        self.followed = False
        """Whether what is at the end of the file stands as if an entry of its own came behind it."""
        self._marks = [mark for mark in _BREAKS if mark in self.text]

    def reach(self, index: int) -> None:
        """What lies before `index` has been dealt with."""
        self._at = max(self._at, index)

    def commented(self, index: int) -> bool:
        """Whether a comment lies between the place reached and `index`."""
        if 0 <= self._next < self._at:
            self._next = self.text.find("#", self._at)
        return 0 <= self._next < index

    def behind(self, end: int) -> Comment | None:
        """The comment on the same line behind a value that ends at `end`."""
        self.reach(end)
        match = _BEHIND.match(self.text, end) if self.text else None
        if match is None:
            return None
        self._at = match.end()
        return Comment(match.group(1), inline=True, at=match.start(1) - 1)

    def header(self, start: int, end: int) -> Comment | None:
        """The comment behind the `|` or `>` of a block scalar."""
        self.reach(end)
        match = _HEADER.match(self.text, start, end) if self.text else None
        return Comment(match.group(1), inline=True, at=match.start(1) - 1) if match else None

    def column(self, at: int) -> int:
        """How far a place, which none that was asked for lies behind, is from where its line begins."""
        if self.followed and at == len(self.text):
            return 0
        for mark in self._marks:
            self._line = max(self._line, self.text.rfind(mark, self._line, at) + 1)
        return at - self._line

    def before(self, end: int, above: str, indent: int, *, flow: bool) -> Iterator[Run | str]:
        """The runs and the indicators between the place reached and `end`, in turn, in a block that is indented by `indent`."""
        spans: list[tuple[int, int]] = []
        start, self._at = self._at, max(self._at, end)
        for match in _PIECE.finditer(self.text, start, end):
            if match.group()[0] == "#":
                spans.append(match.span())
                continue
            yield from self._runs(spans, match.start(), above, indent, closes=False)
            spans.clear()
            yield match.group()
            if match.group() != ",":
                above = match.group()
        yield from self._runs(spans, end, above, indent, closes=flow and self.text[end : end + 1] in {"]", "}"})

    def _runs(self, spans: list[tuple[int, int]], end: int, above: str, indent: int, *, closes: bool) -> Iterator[Run]:
        if not spans:
            return
        breaks = self._breaks_before(spans[0][0])
        if not breaks and above not in {"-", "---", ""}:
            begin, stop = spans[0]
            comments = [self._comment(begin, stop)]
            yield Run(comments, begin, EARLY, line=True, above=above in {VALUE, ":"})
            del spans[0]
            if not spans:
                return
            breaks = self._breaks_before(spans[0][0])
        # Only a run that begins right below is a foot by what follows, and only by the first blank line of the gap.
        touches, fresh = breaks == 1 and above not in {":", ""}, breaks < 2
        run: Run | None = None
        first = True
        for number in range(len(spans) + 1):
            begin = spans[number][0] if number < len(spans) else end
            last, ends = number == len(spans), begin == len(self.text) and not self.followed
            column = self.column(begin)
            if run is not None:
                # Of a CRLF behind a comment, sops takes the second half for a blank line.
                blank = ends or len(_HALF.findall(self.text, spans[number - 1][1], begin)) > 1
                outside = run.column < indent
                parted = (last and closes) or (blank and fresh and (outside or (touches and first)))
                if parted or (column < indent and column != run.column and not ends):
                    run.foot = True
                    run.above = first and above in {VALUE, "---"} and not (parted and outside)
                    run.place = EARLY if first and not (parted and outside) else run.begin
                    yield run
                    run, first = None, False
                fresh = fresh and not blank
            if not last:
                run = run or Run([], begin, column)
                run.comments.append(self._comment(*spans[number]))
        if run is not None:
            yield run

    def _comment(self, begin: int, end: int) -> Comment:
        return Comment(self.text[begin + 1 : end], at=begin)

    def _breaks_before(self, at: int) -> int:
        """The line breaks between a place and what stands before it."""
        text, start = self.text, at
        while start and text[start - 1] in _BLANKS:
            start -= 1
        return len(_BREAK.findall(text, start, at))


def unplaced(tree: Mapping | Sequence) -> Mapping | Sequence:
    """A copy whose comments stand nowhere in the text: that of an alias."""
    items: list[Entry | Value | Comment] = []
    for item in tree.items:
        if isinstance(item, Comment):
            items.append(Comment(item.text, item.inline))
        elif isinstance(item, Entry):
            value = item.value
            items.append(Entry(item.key, unplaced(value), item.line) if isinstance(value, Mapping | Sequence) else item)
        else:
            items.append(unplaced(item) if isinstance(item, Mapping | Sequence) else item)
    return type(tree)(tuple(items))  # pyright: ignore[reportArgumentType]  # of the kind that it was
