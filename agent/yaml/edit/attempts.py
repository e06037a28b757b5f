"""Any change to the tree of any file, spliced into its text by the spans of its nodes.

What comes out is always parsed and compared: a part that cannot be spliced is rewritten, at last the whole file as `write.yaml` does, with
a note.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING

from agent.values.dataclass import replace
from agent.values.errors import YamlError
from agent.yaml.edit.edits import Note, OverlapError, Path, Spliced
from agent.yaml.edit.items import Place
from agent.yaml.edit.originals import says
from agent.yaml.edit.rewriter import Rewriter
from agent.yaml.matching import comments_of, same, same_documents
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence
from agent.yaml.read.spans import comments
from agent.yaml.scalars import BREAKS
from agent.yaml.write import fragments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence as List

    from agent.yaml.edit.originals import Original
    from agent.yaml.nodes import Value
    from agent.yaml.read.spans import DocumentSpan

_ATTEMPTS = 6
_UNSEEN = "a comment is removed, since it stands where none is read"
_PART_REWRITTEN = "a map or list is rewritten, since the change does not fit into its text"
_REWRITTEN = "the file is rewritten, since the change does not fit into its text"
_BREAK = re.compile(f"\r\n|[{BREAKS}]")


def splice(
    original: Original,
    documents: List[Mapping],
    *,
    indent: int,
    ignore_comment_position: bool = False,
    ends: bool = False,
) -> Spliced:
    """As `agent.yaml.splice.splice`, for a file of any kind that was read already."""
    if same_documents(original.documents, documents):
        return Spliced(original.text.data)
    wanted = [_one_line_comments(each) for each in documents]
    if original.text.readable and len(documents) == len(original.documents):
        spliced = _Splicing(original, wanted, indent, ends=ends).attempt(
            ignore_comment_position=ignore_comment_position
        )
        if spliced is not None:
            return spliced
    notes = (Note(_REWRITTEN, 1),)
    whole = Spliced(original.emit(wanted, indent), notes)
    if says(original, whole.data, wanted):
        return whole
    # As Go prints it, a whole float is read again as an integer.
    plain = Spliced(original.text.encode(_plain(original, wanted, indent), complete=True), notes)
    return plain if says(original, plain.data, wanted) else whole


def _plain(original: Original, documents: List[Mapping], indent: int) -> str:
    layout = original.layout(indent)
    if original.flow:
        return fragments.flow(documents[0], layout, "") + layout.newline
    written = [
        fragments.block(each, 0, layout)
        if fragments.filled(each)
        else [*(f"#{note.text}" for note in comments_of(each)), "{}"]
        for each in documents
    ]
    return f"---{layout.newline}".join("".join(line + layout.newline for line in lines) for lines in written)


class _Splicing:
    def __init__(self, original: Original, wanted: List[Mapping], indent: int, *, ends: bool) -> None:
        self._original = original
        self._ends = ends
        self._text = original.text.text
        self._wanted = wanted
        self._indent = indent
        self._layout = original.layout(indent)

    def attempt(self, *, ignore_comment_position: bool) -> Spliced | None:
        """The spliced file that says what is wanted; all but the places of some comments, where those are ignored or nothing else can be."""
        forced: frozenset[Path] = frozenset()
        near: Spliced | None = None
        for _ in range(_ATTEMPTS):
            spliced, failed = self._try(forced)
            if spliced is not None and not failed:
                return replace(spliced, notes=(*spliced.notes, *self._rewritten(forced)))
            if spliced is not None and near is None and self._nearly(spliced):
                near = spliced
                if ignore_comment_position:
                    break
            more = frozenset(_wider(path, forced) for path in failed)
            if more <= forced or () in more:
                break
            forced |= more
        return near

    def _try(self, forced: frozenset[Path]) -> tuple[Spliced | None, list[Path]]:
        """A spliced file, and what in it is not as it should be; None where it is no file."""
        original = self._original
        rewriter = Rewriter(self._text, original.text.lines, self._layout, forced, self._indent)
        self._rewrite(rewriter)
        try:
            text, places = rewriter.edits.apply(self._text)
        except OverlapError as error:
            return None, [error.path]
        notes = tuple(rewriter.notes)
        completed = not self._ends and bool(places) and rewriter.edits.last >= len(self._text)
        spliced = Spliced(original.text.encode(text, complete=completed), notes)
        try:
            got = original.parse(spliced.data)
            if self._ends and not original.text.complete and not same_documents(got, self._wanted):
                # The last line of a block scalar means something else without its break.
                spliced = Spliced(original.text.encode(text, complete=True), notes)
                got = original.parse(spliced.data)
        except YamlError as error:
            return None, [_culprit(error, text, places)]
        return spliced, [] if same_documents(got, self._wanted) else list(_differences(got, self._wanted))

    def _rewritten(self, forced: frozenset[Path]) -> Iterator[Note]:
        """A note for each map and list that could not be spliced."""
        for path in sorted(forced):
            value: Value = self._wanted[path[0]]
            line = 1
            for number in path[1:]:
                assert isinstance(value, Mapping | Sequence)
                item = value.items[number]
                line = item.line or line if isinstance(item, Entry) else line
                value = item.value if isinstance(item, Entry) else None if isinstance(item, Comment) else item
            if isinstance(value, Mapping | Sequence):
                yield Note(_PART_REWRITTEN, line)

    def _nearly(self, spliced: Spliced) -> bool:
        """Whether it says what is wanted, except for the places of comments; some have no text that would be read so."""
        return _ignoring_positions(self._original.parse(spliced.data)) == _ignoring_positions(self._wanted)

    def _rewrite(self, rewriter: Rewriter) -> None:
        original = self._original
        for number, span in enumerate(original.spans):
            old, new = original.documents[number], self._wanted[number]
            rewriter.path.append(number)
            rewriter.bounds, rewriter.explicit = (span.start, span.end), span.explicit
            rewriter.several = len(original.spans) > 1
            if original.flow and span.root is not None:
                rewriter.visit(span.root, old, new, Place(-1, span.start, flow=True))
            elif span.root is None or not span.root.children:
                self._fill(rewriter, span, old, new)
            else:
                rewriter.visit(span.root, old, new, Place(-1, span.start))
            rewriter.path.pop()
        if "#" in self._text and not original.flow:
            known = {each.at for document in original.documents for each in comments_of(document)}
            for start, end in comments(self._text, original.text.lines, original.scalars):
                # A comment that the parse does not see is in no tree: it would stay in the clear.
                if start not in known:
                    rewriter.edits.erase(start, end)
                    rewriter.notes.append(Note(_UNSEEN, original.text.lines.number(start)))

    def _fill(self, rewriter: Rewriter, span: DocumentSpan, old: Mapping, new: Mapping) -> None:
        """A document that holds no map yet, or an empty one."""
        if same(old, new):
            return
        lines, newline = self._original.text.lines, self._layout.newline
        root = span.root if span.root is not None and span.root.end > span.root.start else None
        end = root.end if root is not None else span.start
        stay = len(old.items) <= len(new.items) and all(
            isinstance(item, Comment) for item in new.items[: len(old.items)]
        )
        for item, other in zip(old.items, new.items if stay else old.items, strict=False):
            assert isinstance(item, Comment)
            end = max(end, item.at + 1 + len(item.text))
            if not stay:
                rewriter.put(item.at, item.at + 1 + len(item.text), "")
            elif isinstance(other, Comment) and other.text != item.text:
                rewriter.put(item.at, item.at + 1 + len(item.text), "#" + other.text)
        begin = end
        if root is not None and end == root.end:
            begin = root.start
        elif root is not None:
            alone = root.start == lines.start(root.start) and root.end == lines.end(root.end)
            rewriter.put(root.start, lines.after(root.end) if alone else root.end, "")
        rest = new.items[len(old.items) :] if stay else new.items
        written = fragments.document_end(rest, self._layout, self._indent) if rest else ["{}"] if not new.items else []
        before = newline if begin > lines.start(begin) else ""
        behind = "" if end < len(self._text) and self._text[end] in BREAKS else newline
        rewriter.put(begin, end, before + newline.join(written) + behind if written else "")


def _one_line_comments(document: Mapping) -> Mapping:
    """A document whose comments have a line each: what was encrypted may hold line breaks."""
    if not any(_BREAK.search(each.text) for each in comments_of(document)):
        return document
    found = _split(document)
    assert isinstance(found, Mapping)
    return found


def _split(value: Value) -> Value:
    if not isinstance(value, Mapping | Sequence):
        return value
    items: list[Entry | Comment | Value] = []
    for item in value.items:
        if isinstance(item, Comment):
            items += [Comment(line, item.inline) for line in _BREAK.split(item.text)]
        elif isinstance(item, Entry):
            items.append(Entry(item.key, _split(item.value), item.line))
        else:
            items.append(_split(item))
    return type(value)(tuple(items))  # pyright: ignore[reportArgumentType]


def _differences(got: List[Mapping], wanted: List[Mapping]) -> Iterator[Path]:
    """The smallest parts that are not as they should be, as the places of items in `wanted`."""
    if len(got) != len(wanted):
        yield ()
        return
    for number, (one, other) in enumerate(zip(got, wanted, strict=True)):
        yield from _difference(one, other, (number,))


def _difference(one: Value, other: Value, path: Path) -> Iterator[Path]:
    if not isinstance(one, Mapping | Sequence) or type(one) is not type(other):
        if not same(one, other):
            yield path
        return
    assert isinstance(other, Mapping | Sequence)
    mine = [item for item in one.items if not isinstance(item, Comment)]
    theirs = [(number, item) for number, item in enumerate(other.items) if not isinstance(item, Comment)]
    if [_name(item) for item in mine] != [_name(item) for _, item in theirs]:
        yield path
        return
    deeper = False
    for item, (number, wanted) in zip(mine, theirs, strict=True):
        parts = (item.value, wanted.value) if isinstance(item, Entry) and isinstance(wanted, Entry) else (item, wanted)
        for found in _difference(*parts, (*path, number)):  # pyright: ignore[reportArgumentType]
            deeper = True
            yield found
    if not deeper and list(map(_shape, one.items)) != list(map(_shape, other.items)):
        yield path


def _name(item: Entry | Comment | Value) -> tuple[object, ...]:
    return (type(item.key), item.key) if isinstance(item, Entry) else ()


def _shape(item: Entry | Comment | Value) -> tuple[object, ...]:
    return (Comment, item.text) if isinstance(item, Comment) else _name(item)


def _ignoring_positions(documents: List[Mapping]) -> object:
    """The values, and all comments in turn wherever they stand."""
    return [repr(_bare(each)) for each in documents], [[each.text for each in comments_of(one)] for one in documents]


def _bare(value: Value) -> object:
    if isinstance(value, Mapping):
        return {"map": [(entry.key, _bare(entry.value)) for entry in value.entries()]}
    if isinstance(value, Sequence):
        return [_bare(item) for item in value.values()]
    return value


def _wider(path: Path, forced: frozenset[Path]) -> Path:
    while path and path in forced:
        path = path[:-1]
    return path


def _culprit(error: YamlError, text: str, places: List[tuple[int, Path]]) -> Path:
    """On whose behalf the text was changed before the place where it is no YAML."""
    line = error.facts.get("line")
    at = 0
    for _ in range(line - 1 if isinstance(line, int) else 0):
        found = _BREAK.search(text, at)
        at = found.end() if found else len(text)
    found_end = _BREAK.search(text, at)
    at = found_end.start() if found_end else len(text)
    number = bisect_right([start for start, _ in places], at) - 1
    return places[number][1] if number >= 0 else ()
