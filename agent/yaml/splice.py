"""A changed tree written into the text it came from, so that nothing else changes.

Comments, blank lines, quotes, indents, the order of keys and the marks of documents stay as somebody wrote them. What comes out is
always parsed and compared: a part that cannot be spliced is written anew, at last the whole file as `emit` does, and a note tells.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.values.errors import YamlError
from agent.yaml import emit, fragments, sealed
from agent.yaml.edits import OverlapError, Path
from agent.yaml.fragments import Layout
from agent.yaml.matching import comments_of, same
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence
from agent.yaml.restructuring import appended
from agent.yaml.rewriting import Note, Place, Rewriter
from agent.yaml.spans import BREAKS, Lines, Recorder, comments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence as List

    from agent.yaml.limits import Limits
    from agent.yaml.nodes import Value
    from agent.yaml.spans import DocumentSpan

_ATTEMPTS = 4
_BREAK = re.compile(f"\r\n|[{BREAKS}]")
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Spliced:
    """The new file, and what could not stay as it was."""

    data: bytes
    notes: tuple[Note, ...] = ()


class Original:
    """A file as somebody wrote it: its documents, as `sealed.parse` gives them, and where everything stands."""

    def __init__(self, data: bytes, *, file: str, limits: Limits | None = None) -> None:
        """Raises YamlError and LimitError."""
        text = data.decode("utf-8", "replace")
        self.data = data
        self.file = file
        self.limits = limits
        self.bom = text.startswith(_BOM)
        self.text = text.removeprefix(_BOM)
        self.readable = "\ufffd" not in text or text.encode() == data
        first = _BREAK.search(self.text)
        self.newline = first.group() if first and first.group() in {"\n", "\r\n", "\r"} else "\n"
        self.complete = self.text == "" or self.text[-1] in BREAKS
        if not self.complete:
            self.text += self.newline
        self.lines = Lines(self.text)
        self.recorder = Recorder(self.text, self.lines)
        self.documents = sealed.parse(data, file=file, limits=limits, watcher=self.recorder)


def splice(
    before: bytes | Original, documents: List[Mapping], *, file: str, limits: Limits | None = None, indent: int = 4
) -> Spliced:
    """The text nearest to `before` that says `documents`: maps and lists with their comments, as `sealed.parse` gives them.

    `before` is a file, or an Original where the caller has read it already. `indent` is that of entries put at the end of a
    document, which are written as sops writes them, and of a file that has to be written anew. Whether a comment is inline is
    layout: it stays where it stood. Raises YamlError and LimitError for a `before` that does not parse.
    """
    original = before if isinstance(before, Original) else Original(before, file=file, limits=limits)
    documents = list(documents)
    if len(documents) == len(original.documents) and all(map(same, original.documents, documents)):
        return Spliced(original.data)
    if original.readable and len(documents) == len(original.documents):
        done = _Splicing(original, documents, indent).attempt()
        if done is not None:
            return done
    return _anew(documents, indent)


def _anew(documents: List[Mapping], indent: int) -> Spliced:
    written = emit.emit([_one_line_comments(each) for each in documents], indent=indent)
    return Spliced(written, (Note("the file is written anew, since the change does not fit into its text", 1),))


class _Splicing:
    def __init__(self, original: Original, documents: List[Mapping], indent: int) -> None:
        self._original = original
        self._wanted = [_one_line_comments(each) for each in documents]
        self._indent = indent
        recorder = original.recorder
        step = recorder.step or indent
        dash = recorder.dash if recorder.dash >= 0 else step
        quoted = any(_like_json(span, original.text) for span in recorder.documents)
        self._layout = Layout(step, dash, original.newline, quoted)

    def attempt(self) -> Spliced | None:
        """The spliced file; None where it does not say what is wanted."""
        forced: frozenset[Path] = frozenset()
        near: Spliced | None = None
        for _ in range(_ATTEMPTS):
            rewriter = Rewriter(self._original.text, self._original.lines, self._layout, forced, self._indent)
            failed: list[Path]
            try:
                self._rewrite(rewriter)
                text, places = rewriter.edits.apply(self._original.text)
            except OverlapError as error:
                failed = [error.path]
            else:
                spliced = Spliced(self._encoded(text), tuple(rewriter.notes))
                failed = []
                try:
                    got = sealed.parse(spliced.data, file=self._original.file, limits=self._original.limits)
                except YamlError as error:
                    failed = [_culprit(error, text, places)]
                else:
                    failed = list(_differences(got, self._wanted))
                    if not failed:
                        return spliced
                    if near is None and _loosely(got) == _loosely(self._wanted):
                        near = spliced
            more = frozenset(_wider(path, forced) for path in failed)
            if more <= forced or () in more:
                break
            forced |= more
        if near is None:
            return None
        anew = _anew(self._wanted, self._indent)
        got = sealed.parse(anew.data, file=self._original.file, limits=self._original.limits)
        return anew if not list(_differences(got, self._wanted)) else near

    def _encoded(self, text: str) -> bytes:
        newline = self._original.newline
        if not self._original.complete and text.endswith(newline) and self._ends_as_before(text):
            text = text.removesuffix(newline)
        return ((_BOM if self._original.bom else "") + text).encode("utf-8", "surrogateescape")

    def _ends_as_before(self, text: str) -> bool:
        last = self._original.text[
            self._original.lines.start(len(self._original.text) - 1 - len(self._original.newline)) :
        ]
        return len(self._wanted[-1].items) <= len(self._original.documents[-1].items) or text.endswith(last)

    def _rewrite(self, rewriter: Rewriter) -> None:
        recorder = self._original.recorder
        for number, span in enumerate(recorder.documents):
            old, new = self._original.documents[number], self._wanted[number]
            rewriter.path.append(number)
            rewriter.document_end = span.end
            if span.root is None or not span.root.children:
                self._fill(rewriter, span, old, new)
            else:
                rewriter.visit(span.root, old, new, Place(-1, span.start))
            rewriter.path.pop()
        if "#" in self._original.text:
            known = {each.at for document in self._original.documents for each in comments_of(document)}
            for start, end in comments(self._original.text, self._original.lines, recorder.scalars):
                # A comment that the parse does not see is in no tree: it would stay in the clear.
                if start not in known:
                    rewriter.edits.erase(start, end)

    def _fill(self, rewriter: Rewriter, span: DocumentSpan, old: Mapping, new: Mapping) -> None:
        """A document that holds no map yet, or an empty one."""
        if same(old, new):
            return
        text, newline = self._original.text, self._layout.newline
        lines = fragments.block(Mapping(new.items[:-1]), 0, self._layout) if new.items else []
        if new.items:
            last = new.items[-1]
            lines += (
                appended(last, self._indent)
                if isinstance(last, Entry)
                else fragments.block(Mapping((last,)), 0, self._layout)
            )
        body = newline.join(lines) if lines else "{}"
        begin, end = span.start, max(span.start, span.root.end if span.root is not None else span.start)
        for item in old.items:
            if isinstance(item, Comment):
                if begin <= item.at:
                    end = max(end, item.at + 1 + len(item.text))
                else:
                    rewriter.put(self._original.lines.start(item.at), self._original.lines.after(item.at), "")
        inline = begin > self._original.lines.start(begin)
        behind = "" if text[end : end + 1] in BREAKS and end < len(text) else newline
        rewriter.put(begin, end, (newline if inline else "") + body + behind)


def _like_json(span: DocumentSpan, text: str) -> bool:
    root = span.root
    return root is not None and root.flow and bool(root.children) and text.startswith('"', root.children[0].start)


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
    if isinstance(one, Mapping | Sequence) and type(one) is type(other):
        assert isinstance(other, Mapping | Sequence)
        if [_shape(item) for item in one.items] != [_shape(item) for item in other.items]:
            yield path
            return
        for number, (mine, theirs) in enumerate(zip(one.items, other.items, strict=True)):
            if isinstance(mine, Entry) and isinstance(theirs, Entry):
                yield from _difference(mine.value, theirs.value, (*path, number))
            elif not isinstance(mine, Comment | Entry) and not isinstance(theirs, Comment | Entry):
                yield from _difference(mine, theirs, (*path, number))
    elif not same(one, other):
        yield path


def _shape(item: Entry | Comment | Value) -> tuple[object, ...]:
    if isinstance(item, Entry):
        return (Entry, type(item.key), item.key)
    return (Comment, item.text) if isinstance(item, Comment) else (None,)


def _loosely(documents: List[Mapping]) -> object:
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
