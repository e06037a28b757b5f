"""What is changed in a text so that it says a new tree: the walk over the old tree, its spans and the new one, side by side."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.yaml.edit import scalar_styles
from agent.yaml.edit.edits import Edits, Note, Path
from agent.yaml.edit.items import Items, Place
from agent.yaml.matching import comments_of, match, positions, same
from agent.yaml.nodes import Comment, Entry, Mapping, Sequence
from agent.yaml.read.spans import Kind
from agent.yaml.scalars import BREAKS
from agent.yaml.write import fragments

if TYPE_CHECKING:
    from agent.yaml.edit.scalar_styles import Edit
    from agent.yaml.nodes import Scalar, Value
    from agent.yaml.read.spans import Lines, Node
    from agent.yaml.write.fragments import Layout

_HEADER = re.compile(r"[|>][-+0-9]*")
_COLON = re.compile(f"(?:[ \t{BREAKS}]|#[^{BREAKS}]*+)*+:")
_DASH = re.compile(f"(?:[ \t{BREAKS}]|#[^{BREAKS}]*+)*+-")
_BLANKS = re.compile("[ \t]*")
_REST = re.compile(f"[ \t]*(#[^{BREAKS}]*)?")
_CORE = "tag:yaml.org,2002:"
_NOTHING = Comment("")


class Rewriter:
    """Collects the edits of one file. `forced` are the paths of what a former attempt could not write."""

    def __init__(self, text: str, lines: Lines, layout: Layout, forced: frozenset[Path], indent: int) -> None:
        self.text = text
        self.lines = lines
        self.layout = layout
        self.edits = Edits()
        self.notes: list[Note] = []
        self.indent = indent
        self.path: list[int] = []
        self.bounds: tuple[int, int] = (0, 0)
        self.explicit = self.several = False
        self._forced = forced
        self._anchored: dict[str, Value] = {}

    def put(self, start: int, end: int, text: str) -> None:
        """An edit on behalf of the item that is being visited."""
        self.edits.put(start, end, text, tuple(self.path))

    @property
    def forced(self) -> bool:
        """Whether the item that is being visited could not be written otherwise."""
        return bool(self._forced) and tuple(self.path) in self._forced

    # Nodes

    def visit(self, node: Node, old: Value, new: Value, place: Place) -> None:
        """Make `node`, which says `old`, say `new`."""
        if node.kind is Kind.ALIAS:
            self._alias(node, new, place)
        elif node.kind is Kind.SCALAR:
            if isinstance(new, Mapping | Sequence) or (isinstance(old, Mapping | Sequence)):
                self.replace(node, old, new, place)
                return
            if self.forced or not same(old, new):
                self.leaf(node, old, new, place)
            self._bind(node, new)
        elif type(old) is not type(new) or self.forced or not self._collection(node, old, new, place):
            self.replace(node, old, new, place)

    def _bind(self, node: Node, value: Value) -> None:
        if node.anchor is not None:
            self._anchored[node.anchor] = value

    def _alias(self, node: Node, new: Value, place: Place) -> None:
        bound = self._anchored.get(node.anchor or "", _NOTHING)
        if not self.forced and not isinstance(bound, Comment) and same(bound, new):
            return
        self.notes.append(Note("an alias is written out, since its value is no longer that of its anchor", node.line))
        self.replace(node, None, new, place)

    def _collection(self, node: Node, old: Value, new: Value, place: Place) -> bool:
        """Change what is in a map or list; False where it has to be rewritten."""
        assert isinstance(old, Mapping | Sequence)
        assert isinstance(new, Mapping | Sequence)
        pairs = match(old.items, new.items)
        change = Items(self, node, old.items, new.items, pairs=pairs, place=place)
        if not change.plain and not change.plan():
            return False
        self._bind(node, new)
        self._items(node, old, new, pairs, place)
        return True

    def _items(
        self, node: Node, old: Mapping | Sequence, new: Mapping | Sequence, pairs: list[int], place: Place
    ) -> None:
        children = positions(old.items)
        path = self.path
        for number, (at, item) in enumerate(zip(pairs, new.items, strict=True)):
            former = old.items[at] if at >= 0 else _NOTHING
            if at < 0:
                continue
            path.append(number)
            if isinstance(item, Comment):
                if isinstance(former, Comment) and former.text != item.text:
                    self.put(former.at, former.at + 1 + len(former.text), "#" + item.text)
            elif isinstance(item, Entry):
                assert isinstance(former, Entry)
                key, value = node.children[2 * children[at]], node.children[2 * children[at] + 1]
                self._bind(key, item.key)
                self.visit(value, former.value, item.value, Place(node.column, key.end, node.flow))
            elif not isinstance(former, Comment | Entry):
                place = self.under_dash(node, children[at])
                self.visit(node.children[children[at]], former, item, place)
            path.pop()

    def under_dash(self, node: Node, number: int) -> Place:
        """Where an item of a list stands."""
        return Place(node.column, node.children[number - 1].end if number else node.content, node.flow, dashed=True)

    def dash(self, node: Node, number: int) -> int:
        """Where the dash of an item of a block list stands."""
        return self._lead(self.under_dash(node, number), node.children[number]) - 1

    def _lead(self, place: Place, node: Node) -> int:
        """Behind the colon, dash or `---` of a node; where it has none, its start."""
        if place.column < 0:
            return place.behind
        found = (_DASH if place.dashed else _COLON).match(self.text, place.behind, max(node.start, place.behind))
        return found.end() if found else node.start

    # Scalars

    def leaf(self, node: Node, old: Scalar, new: Scalar, place: Place) -> None:
        """Make a scalar, which says `old`, say `new`."""
        if not self.forced and (edits := self._styled(node, old, new, place)) is not None:
            for start, end, text in edits:
                self.put(start, end, text)
            return
        usual = node.start == node.content < node.end and node.quote not in {"|", ">"}
        if usual and isinstance(new, str) and fragments.is_ciphertext(new) and not self.forced:
            quote = node.quote or ('"' if place.flow else "")
            self.put(node.start, node.end, f"{quote}{new}{quote}")
            return
        start, tagged = self._kept_properties(node, new)
        quote = node.quote if node.quote in {"'", '"'} and isinstance(new, str) else ""
        written = None
        if isinstance(new, str) and not place.flow and not self.forced and not quote:
            written = self._literal(node, new, place)
        body = ""
        if written is not None:
            header, body = written[0], "".join(self.layout.newline + each for each in written[1])
        else:
            quote = '"' if self.forced and isinstance(new, str) else quote
            header = fragments.scalar(new, quote=quote, flow=place.flow, quoted=place.flow and self.layout.quoted)
            if tagged and header.startswith("!"):
                start = node.start
        head = _HEADER.match(self.text, node.content) if node.quote in {"|", ">"} else None
        if head is not None:
            self.put(start, head.end(), header)
            self.put(self.lines.end(node.content), node.end, body)
            return
        self.put(start, node.end, self._spaced(node, header) if start == node.end else header)
        if body:
            end = self.lines.end(node.end)
            self.put(end, end, body)

    def _styled(self, node: Node, old: Scalar, new: Scalar, place: Place) -> list[Edit] | None:
        """The edits of encrypting or decrypting, where the style of the text in the clear has to be seen in the ciphertext."""
        if place.flow and self.layout.quoted:
            return None
        if isinstance(new, str) and fragments.is_ciphertext(new):
            if isinstance(old, str) and fragments.is_ciphertext(old):
                return scalar_styles.reencrypted(self.text, self.lines, node, old, new)
            column, layout, indent = place.column, self.layout, self.indent
            return scalar_styles.encrypted(
                self.text, self.lines, node, old, new, column=column, flow=place.flow, layout=layout, indent=indent
            )
        if isinstance(old, str) and fragments.is_ciphertext(old):
            return scalar_styles.decrypted(self.text, self.lines, node, new, flow=place.flow, layout=self.layout)
        return None

    def _spaced(self, node: Node, header: str) -> str:
        before, behind = self.text[node.end - 1 : node.end], self.text[node.end : node.end + 1]
        return ("" if before in {" ", "\t", ""} else " ") + header + (" " if behind == "#" else "")

    def _kept_properties(self, node: Node, new: Scalar) -> tuple[int, bool]:
        """Where the new scalar begins: behind an anchor, and a tag that still fits, where these stand right before it."""
        if node.content == node.start:
            return node.start, False
        written = self.text[node.start : node.content]
        if any(mark in written for mark in BREAKS) or "#" in written:
            return node.start, False
        tag = node.tag
        if tag is None or (isinstance(new, str) and (not tag.startswith(_CORE) or tag == _CORE + "str")):
            return node.content, tag is not None
        anchors = [part for part in written.split() if part.startswith("&")]
        self.put(node.start, node.content, "".join(part + " " for part in anchors))
        return node.content, False

    def _literal(self, node: Node, text: str, place: Place) -> tuple[str, list[str]] | None:
        column = max(place.column, 0) + self.layout.step
        if node.quote in {"|", ">"}:
            column = self._body_column(node, column)
        written = fragments.literal(text, column)
        if written is None:
            return None
        end = self.lines.end(node.end)
        rest = _REST.match(self.text, node.end, end)
        if rest is None or rest.end() != end:
            return None
        follows = self.lines.after(end)
        if written[0] == "|+" and follows < len(self.text) and not self.text[follows : self.lines.end(follows)].strip():
            return None
        return written

    def _body_column(self, node: Node, column: int) -> int:
        start = self.lines.after(node.content)
        line = self.text[start : self.lines.end(start)]
        found = len(line) - len(line.lstrip(" "))
        return found if found > 0 and line.strip() and start < node.end else column

    # Whole nodes

    def replace(self, node: Node, old: Value, new: Value, place: Place) -> None:
        """Rewrite a node, its tag, anchor and comments included."""
        if place.flow:
            self._replace_in_flow(node, old, new)
            return
        end = self.last(node, old)
        lead = self._lead(place, node)
        rest = _REST.match(self.text, lead)
        assert rest is not None
        # The comment behind a colon is the outer map's; one behind a dash or `---` is of the node itself.
        noted = rest.group(1) is not None and rest.end() <= node.start and not place.dashed and place.column >= 0
        if place.column < 0 and isinstance(old, Mapping):
            self._erase_outside(old, lead, end)
        body = self._body(node, new, place, end, noted=noted)
        if not noted:
            self._put_with_tail(lead, end, body)
        elif body.startswith(" "):
            self.put(lead, lead, body)
            self.put(rest.end(), max(end, rest.end()), "")
        else:
            self.put(rest.end(), max(end, rest.end()), body)

    def _replace_in_flow(self, node: Node, old: Value, new: Value) -> None:
        text = fragments.flow(new, self.layout, self._base(node))
        self.put(node.start, node.end, self._spaced(node, text) if node.start == node.end else text)
        for comment in comments_of(old):
            if comment.at >= node.end:
                self.put(comment.at, comment.at + 1 + len(comment.text), "")

    def _body(self, node: Node, new: Value, place: Place, end: int, *, noted: bool) -> str:
        """What stands behind a colon, dash or `---`, with the space or line break before it."""
        if isinstance(new, Mapping | Sequence):
            if self._stays_flow(node, new):
                return " " + fragments.flow(new, self.layout, "")
            if fragments.filled(new):
                return self._block_body(fragments.block(new, self._below(node, new, place), self.layout), place)
            if place.column < 0:
                found = [f"#{each.text}" for each in comments_of(new)]
                bare = self.explicit and (found or self.several)
                return self._block_body(found if bare else [*found, "{}"], place)
        return " " + self._line_body(new, place, end, noted=noted)

    def _stays_flow(self, node: Node, new: Mapping | Sequence) -> bool:
        """Whether a flow collection on one line is one again; comments have no room in it."""
        if not node.flow or any(mark in self.text[node.start : node.end] for mark in BREAKS):
            return False
        return next(comments_of(new), None) is None

    def _base(self, node: Node) -> str:
        """The indent of the line that a node begins on."""
        found = _BLANKS.match(self.text, self.lines.start(node.start), node.start)
        return found.group() if found else ""

    def _block_body(self, lines: list[str], place: Place) -> str:
        newline = self.layout.newline
        if place.dashed:
            return " " + lines[0].lstrip(" ") + "".join(newline + line for line in lines[1:])
        if place.column < 0 and place.behind == self.lines.start(place.behind):
            return newline.join(lines)
        return "".join(newline + line for line in lines)

    def _line_body(self, new: Value, place: Place, end: int, *, noted: bool) -> str:
        if isinstance(new, Mapping | Sequence):
            return fragments.flow(new, self.layout, " " * max(place.column, 0))
        if not isinstance(new, str) or "\n" not in new:
            return fragments.scalar(new)
        written = fragments.literal(new, max(place.column, 0) + self.layout.step)
        tail = self.text[end : self.lines.end(end)].strip()
        if written is None or self.forced or noted or tail or written[0] == "|+":
            return fragments.scalar(new, quote='"')
        return written[0] + "".join(self.layout.newline + line for line in written[1])

    def _erase_outside(self, old: Mapping, lead: int, end: int) -> None:
        """The comments of a document before its `---` or behind its end."""
        for item in old.items:
            if isinstance(item, Comment) and not lead <= item.at < end:
                self.put(self.lines.start(item.at), self.lines.after(item.at), "")

    def _put_with_tail(self, lead: int, end: int, body: str) -> None:
        """Where a comment stands behind the old node, a block goes below it."""
        stop = self.lines.end(end)
        tail = self.text[end:stop]
        first, newline, rest = body.partition(self.layout.newline)
        if tail.strip() and newline:
            self.put(lead, end, first)
            self.put(stop, stop, newline + rest)
        else:
            self.put(lead, end, body)

    def _below(self, node: Node, new: Value, place: Place) -> int:
        if place.column < 0:
            return 0
        if place.dashed:
            return place.column + 2
        if not node.flow and type(new) is {Kind.MAPPING: Mapping, Kind.SEQUENCE: Sequence}.get(node.kind):
            noted = isinstance(new, Sequence) and bool(new.items) and isinstance(new.items[-1], Comment)
            return node.column if not noted or node.column > place.column else place.column + self.layout.step
        return place.column + fragments.nested(new, self.layout)

    def last(self, node: Node, value: Value) -> int:
        """Where a node and the comments that belong into it end."""
        end = node.end
        if node.kind is Kind.ALIAS or not isinstance(value, Mapping | Sequence):
            return end
        behind = False
        for item in reversed(value.items):
            if isinstance(item, Comment):
                end = max(end, item.at + 1 + len(item.text))
            elif behind:
                break
            else:
                behind = True
                end = max(end, self.last(node.children[-1], item.value if isinstance(item, Entry) else item))
        if node.flow:
            # The comment behind a flow collection is its first item.
            end = max((end, *(item.at + 1 + len(item.text) for item in value.items if isinstance(item, Comment))))
        return end
