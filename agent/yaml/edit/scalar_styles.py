"""How the style of a scalar outlives its encryption: the text of the encrypted file says what it was.

A block scalar that would not come back by itself stays one, with one line: behind a ciphertext, a line break says nothing. In flow style,
where a ciphertext has to be quoted, one in single quotes was plain; what was in single quotes has a tag too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from agent.yaml.scalars import BREAKS
from agent.yaml.write import fragments, styles

if TYPE_CHECKING:
    from agent.yaml.nodes import Scalar
    from agent.yaml.read.spans import Lines, Node
    from agent.yaml.write.fragments import Layout

Edit: TypeAlias = "tuple[int, int, str]"

_BLOCK = frozenset("|>")
_HEADER = re.compile(r"(?P<style>[|>])(?:(?P<chomp>[-+])(?P<digit>[1-9])?|(?P<first>[1-9])(?P<last>[-+])?)?")
_TAG = "!!str "
_LITERAL = re.compile("[\r\x85\u2028\u2029]")
_MORE_INDENTED = re.compile(r"(?:\A|\n)[ \t]")


def encrypted(
    text: str, lines: Lines, node: Node, old: Scalar, new: str, *, column: int, flow: bool, layout: Layout, indent: int
) -> list[Edit] | None:
    """Put a ciphertext where `old` stands; None where nothing of its style would be lost otherwise.

    `column` is that of the block around it, and `indent` that of what sops writes.
    """
    if not isinstance(old, str):
        return None
    if flow:
        quoted = {"": f"'{new}'", "'": f"{_TAG}'{new}'"}.get(node.quote)
        return [(node.start, node.end, quoted)] if quoted and node.start == node.content < node.end else None
    head = _HEADER.match(text, node.content) if node.quote in _BLOCK else None
    if head is None or not _fits(head, old) or (head["style"] == ">" and _MORE_INDENTED.search(old)):
        return None
    if _comes_back(text, lines, node, old, max(column, 0) + (layout.nested or indent)):
        return None
    digit = head["digit"] or head["first"] or ""
    inside = max(column, 0) + int(digit) if digit else _column(text, lines, node, max(column, 0) + layout.step)
    # Blanks at the end of its last line are the block scalar's too.
    return [(lines.end(node.content), lines.end(node.end), layout.newline + " " * inside + new)]


def _comes_back(text: str, lines: Lines, node: Node, old: str, column: int) -> bool:
    """Whether a block scalar is what would be written for its text anyway."""
    end = lines.end(node.content)
    written = fragments.literal(old, column)
    if written is None or written[0] != text[node.content : end] or written[0] == "|+":
        return False
    body = re.split(f"\r\n|[{BREAKS}]", text[lines.after(node.content) : lines.end(node.end)])
    return written[1] == body


def reencrypted(text: str, lines: Lines, node: Node, old: str, new: str) -> list[Edit] | None:
    """Put a ciphertext in the place of another one in a block scalar."""
    if node.quote not in _BLOCK:
        return None
    start = text.find(old, lines.end(node.content), node.end)
    return [(start, start + len(old), new)] if start >= 0 else None


def decrypted(text: str, lines: Lines, node: Node, new: Scalar, *, flow: bool, layout: Layout) -> list[Edit] | None:
    """Put a value where its ciphertext stands, in the style that it had; None where the ciphertext does not show it."""
    if not isinstance(new, str):
        return None
    if flow:
        written = _in_flow(text, node, new)
        return [(node.start, node.end, written)] if written is not None else None
    head = _HEADER.match(text, node.content) if node.quote in _BLOCK else None
    return None if head is None else _decrypted_block(text, lines, node, head, new, newline=layout.newline)


def _decrypted_block(
    text: str, lines: Lines, node: Node, head: re.Match[str], new: str, *, newline: str
) -> list[Edit] | None:
    if not _fits(head, new):
        return None
    digit = head["digit"] or head["first"] or ""
    body = new.rstrip("\n")
    trailing = len(new) - len(body)
    follows = lines.after(node.end)
    if trailing > 1 and follows < len(text) and not text[follows : lines.end(follows)].strip():
        return None
    style = "|" if _MORE_INDENTED.search(new) else head["style"]
    if style == ">":
        body = re.sub("\n+", lambda found: found.group() + "\n", body)
    margin = " " * _column(text, lines, node, 0)
    written_lines = [margin + line if line else "" for line in body.split("\n")] + [""] * max(trailing - 1, 0)
    chomp = head["chomp"] or head["last"] or ""
    block = [(lines.end(node.content), node.end, "".join(newline + line for line in written_lines))]
    if style != head["style"] or not {"-": trailing == 0, "": trailing == 1, "+": trailing >= 1}[chomp]:
        header = style + digit + ("-" if not trailing else "" if trailing == 1 else "+")
        return [(node.content, head.end(), header), *block]
    return [*block]


def _fits(head: re.Match[str], value: str) -> bool:
    """Whether a text can be a block scalar under such a header."""
    body = value.strip("\n")
    if not body or _LITERAL.search(value) or not styles.readable(value):
        return False
    return body[0] not in " \t" or bool(head["digit"] or head["first"])


def _in_flow(text: str, node: Node, new: str) -> str | None:
    if node.quote != "'":
        return None
    if node.start == node.content:
        return new if _plain_in_flow(new) else None
    if text[node.start : node.content] == _TAG and fragments.scalar(new, quote="'").startswith("'"):
        return fragments.scalar(new, quote="'")
    return None


def _plain_in_flow(new: str) -> bool:
    """Whether a text may stand unquoted in flow style, if it may in block style."""
    bare = new.rstrip(":")
    return bool(bare) and not set(",[]{}") & set(new) and fragments.scalar(bare) == bare and new.strip() == new


def _column(text: str, lines: Lines, node: Node, otherwise: int) -> int:
    """Where the first line of a block scalar that is not blank begins."""
    at = lines.after(node.content)
    while at < node.end:
        line = text[at : lines.end(at)]
        if line.strip():
            return len(line) - len(line.lstrip(" "))
        at = lines.after(at)
    return otherwise
