"""Comments of lists, which sops encrypts into items: how the text of such an item says where its comment stood.

An item that was a comment above another is indented behind its dash as the comment was against the dashes. One that stood behind what
follows is in single quotes, as far from the dash as it was from that. Before a flow list's first item stands what stood behind the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from agent.yaml.nodes import Comment
from agent.yaml.read.spans import Kind
from agent.yaml.write import fragments

if TYPE_CHECKING:
    from collections.abc import Sequence as List

    from agent.yaml.matching import Item
    from agent.yaml.read.spans import Lines, Node

Edit: TypeAlias = "tuple[int, int, str]"


def sealed(former: Comment, item: Item, start: int, end: int, column: int) -> list[Edit] | None:
    """Put a ciphertext for a comment that has the line from `start` to `end`, in a list whose dashes are at `column`."""
    deeper = former.at - start - column
    if not is_sealed(item) or deeper < 0:
        return None
    return [(start, end, f"{' ' * column}-{' ' * (deeper + 1)}{item}")]


def behind(text: str, former: Comment, item: Item) -> dict[str, str]:
    """What is written for the line of a ciphertext whose comment stood behind an item."""
    if not is_sealed(item):
        return {}
    return {f"- {item}": f"-{_gap(text, former.at)}'{item}'"}


def opened(
    text: str, lines: Lines, node: Node, item: Comment, *, following: Node | None, column: int
) -> list[Edit] | None:
    """Put a comment in the place of its ciphertext, an item that has a line of its own; `following` is what it may stand behind."""
    start, end = lines.start(node.start), lines.end(node.end)
    space = len(text[start : node.start]) - column - 1
    if node.quote != "'":
        return [(start, end, f"{' ' * (column + space - 1)}#{item.text}")] if not node.quote and space > 0 else None
    if following is None or (following.kind in {Kind.MAPPING, Kind.SEQUENCE} and not following.flow):
        return None
    place = lines.end(following.content if following.quote in {"|", ">"} else following.end)
    return [(start, lines.after(end), ""), (place, place, f"{' ' * space}#{item.text}")]


def behind_flow(text: str, lines: Lines, node: Node, old: List[Item], new: List[Item]) -> list[Edit] | None:
    """Exchange the comment behind a flow list and its ciphertext, the first item; None where anything else is to be done."""
    if not node.flow or node.kind is not Kind.SEQUENCE or len(old) != len(new) or not old:
        return None
    former, item = old[0], new[0]
    if any(isinstance(each, Comment) for each in (*old[1:], *new[1:])):
        return None
    if isinstance(former, Comment):
        return _into_flow(text, node, former, item)
    if isinstance(item, Comment) and is_sealed(former):
        return _out_of_flow(text, lines, node, item)
    return None


def _into_flow(text: str, node: Node, former: Comment, item: Item) -> list[Edit] | None:
    gap = _gap(text, former.at)
    if not is_sealed(item) or not gap or former.at != node.end + len(gap):
        return None
    inside, comma = node.content + 1, ", " if node.children else ""
    return [(inside, inside, f"{gap[1:]}'{item}'{comma}"), (node.end, former.at + 1 + len(former.text), "")]


def _out_of_flow(text: str, lines: Lines, node: Node, item: Comment) -> list[Edit] | None:
    inside, first = node.content + 1, node.children[0]
    if first.quote != "'" or text[node.end : lines.end(node.end)].strip():
        return None
    until = first.end + len(", ") if len(node.children) > 1 else first.end
    return [(inside, until, ""), (node.end, node.end, f"{text[inside : first.start]} #{item.text}")]


def _gap(text: str, at: int) -> str:
    """The blanks before a place."""
    start = at
    while start and text[start - 1] in " \t":
        start -= 1
    return text[start:at]


def is_sealed(item: Item) -> bool:
    """Whether an item is a ciphertext."""
    return isinstance(item, str) and fragments.is_sealed(item)
