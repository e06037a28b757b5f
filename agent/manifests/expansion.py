"""`${NAME}` in a text, as Flux's postBuild puts values in (github.com/fluxcd/pkg `envsubst`), with its operators.

A value may be a placeholder. It can be put somewhere and stand in for a default; what looks into a value or cuts it is refused for one.
Where Flux and bash differ in what an operator means, it is refused for any value. A reference to a store is text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.values import placeholders
from agent.values.errors import LimitError, SubstitutionError
from agent.values.expressions import MOST_DEPTH, MOST_OUTPUT
from agent.values.text import few

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import TypeAlias

    _Part: TypeAlias = "Callable[[str], bool] | None"
    """What one character of a pattern fits; None for any number of any."""

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE: Final = re.compile(r"\$?\$\{(?:vault|lease)://[^}]*\}?")
_BEGIN: Final = re.compile(rf"\$\{{(#?)({NAME.pattern})")
_OPERATOR: Final = re.compile(r"\}|:?[-=?+]|:|##?|%%?|/[/#%]?|\^\^?|,,?")
_NUMBER: Final = re.compile(r"-?[0-9]{1,9}")
_GLOB: Final = re.compile(r"\\(.)|(\*)|(\?)|\[(\^?)([^\]]+)\]|(.)", re.DOTALL)
_SPAN: Final = re.compile(r"(.)-(.)|(.)", re.DOTALL)
_MOST_COMPARED: Final = 10_000_000
"""Characters of a value times those of a pattern."""


@dataclass(slots=True)
class Room:
    """What texts may still become, and what operators may still look at, in characters: for all texts of a render together.

    What is put together and thrown away counts as well, such as a default that is not needed. `nodes` are those of texts that are YAML.
    """

    output: int = 64 * MOST_OUTPUT
    work: int = 30_000_000
    nodes: int = 500_000

    def take(self, *, output: int = 0, work: int = 0, nodes: int = 0) -> None:
        """Raises LimitError."""
        self.nodes -= nodes
        if self.nodes < 0:
            raise LimitError(
                "variables become too many lists and maps", hint="write them into a manifest, or set shorter values"
            )
        self.output -= output
        self.work -= work
        if self.output < 0 or self.work < 0:
            raise LimitError("texts with their variables are too long, or take too long", hint="set shorter values")


def expand(
    text: str,
    values: Mapping[str, str],
    *,
    strict: bool,
    room: Room | None = None,
    unread: Sequence[str] = (),
    unopened: Collection[str] = (),
) -> str:
    """The text with the values of its variables. `strict`: one that is not set and has no default is an error.

    `unread` names what may set variables and was not read: of one that is not set nothing is known then, so it has no default either.
    `unopened` are variables of which that is known.

    Raises SubstitutionError, which names the variable and never a value, and LimitError.
    """
    if "$" not in text:
        return text
    room = room or Room()
    return _Scanner(text, values, strict=strict, room=room, unread=unread, unopened=unopened).until_end()


def names(text: str, wanted: frozenset[str]) -> list[str]:
    """Those of the wanted variables that a text may name."""
    return sorted(wanted.intersection(found[2] for found in _BEGIN.finditer(text))) if wanted and "$" in text else []


class _Scanner:
    def __init__(
        self,
        text: str,
        values: Mapping[str, str],
        *,
        strict: bool,
        room: Room,
        unread: Sequence[str],
        unopened: Collection[str],
    ) -> None:
        self._text = text
        self._values = values
        self._strict = strict
        self._unread = unread
        self._unopened = unopened
        self._room = room
        self._at = 0
        self._size = 0
        self._depth = 0

    def until_end(self) -> str:
        """The whole text, in which `$$` is a dollar sign."""
        parts: list[str] = []
        while self._at < len(self._text):
            found = self._text.find("$", self._at)
            end = len(self._text) if found < 0 else found
            parts.append(self._text[self._at : end])
            self._at = end
            if end < len(self._text):
                parts.append(self._dollar(escapes=True))
            self._take(parts[-1])
        return "".join(parts)

    def _dollar(self, *, escapes: bool) -> str:
        """What begins with a dollar sign: a reference, an escaped one, a variable, or itself."""
        reference = _REFERENCE.match(self._text, self._at)
        if reference is not None:
            self._at = reference.end()
            return reference.group()
        if escapes and self._text.startswith("$$", self._at):
            self._at += 2
            return "$"
        begin = _BEGIN.match(self._text, self._at)
        if begin is None:
            self._at += 1
            return "$"
        self._at = begin.end()
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise LimitError("variables are nested too deeply", hint="set one of them", limit=MOST_DEPTH)
        value = self._variable(begin[2], "length" if begin[1] else self._operator(begin[2]))
        self._depth -= 1
        return value

    def _operator(self, name: str) -> str:
        found = _OPERATOR.match(self._text, self._at)
        if found is None:
            raise _unreadable(name)
        self._at = found.end()
        return found.group()

    def _variable(self, name: str, operator: str) -> str:
        if operator == "}":
            return self._set(name)
        if operator in {":=", ":-", "=", "-"}:
            default = self._argument(name, "}")
            return self._known(name) or default
        if "?" in operator or "+" in operator:
            raise _in_two_ways(name, operator)
        arguments = self._arguments(name, operator)
        value = self._set(name)
        self._room.take(work=_work(operator, value, arguments))
        if placeholders.is_marked(value) or any(map(placeholders.is_marked, arguments)):
            raise SubstitutionError(
                "an operator looks into a sealed value, which is not opened yet",
                hint="set a variable of its own to what it would give, or disclose it: spec.substitute.disclose",
                variable=name,
                operator=operator,
            )
        return _applied(name, operator, value, arguments)

    def _arguments(self, name: str, operator: str) -> list[str]:
        """What stands between an operator that looks into the value and the closing brace."""
        if operator == "length" or operator[0] in "^,":
            if not self._text.startswith("}", self._at):
                raise _unreadable(name)
            self._at += 1
            return []
        if operator[0] not in ":/":
            return [self._argument(name, "}")]
        divider = operator[0]
        first = self._argument(name, f"{divider}}}", escapes=divider == "/")
        if self._text[self._at - 1] == "}":
            return [first]
        return [first, self._argument(name, "}", escapes=divider == "/")]

    def _argument(self, name: str, ends: str, *, escapes: bool = False) -> str:
        """A text up to one of `ends`, which is passed, with the variables in it."""
        parts: list[str] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in ends:
                self._at += 1
                return "".join(parts)
            if char == "$":
                parts.append(self._dollar(escapes=escapes))
            elif escapes and char == "\\" and self._text[self._at + 1 : self._at + 2] in {"/", "\\"}:
                parts.append(self._text[self._at + 1])
                self._at += 2
            else:
                parts.append(char)
                self._at += 1
            self._take(parts[-1])
        raise _unreadable(name)

    def _set(self, name: str) -> str:
        value = self._known(name)
        if value is None and self._strict:
            raise SubstitutionError(
                "a variable is not set",
                hint="set it, give it a default as in ${NAME:-default}, write $${NAME} for the text, or set strict: false",
                variable=name,
            )
        return value or ""

    def _known(self, name: str) -> str | None:
        if name in self._unopened:
            raise SubstitutionError(
                "a disclosed variable is not opened here",
                hint="agent render --verify and agent diff open files with your keys; values of stores are not asked for",
                variable=name,
            )
        value = self._values.get(name)
        if value is None and self._unread:
            raise SubstitutionError(
                "it is not known whether a variable is set: what may set it is not read here",
                hint="name a cluster to read it from, with --kubeconfig or --context",
                variable=name,
                unread=few(self._unread),
            )
        return value

    def _take(self, part: str) -> None:
        self._size += len(part)
        self._room.take(output=len(part))
        if self._size > MOST_OUTPUT:
            raise LimitError("a text with its variables is too long", hint="set shorter values", limit=MOST_OUTPUT)


def _work(operator: str, value: str, arguments: list[str]) -> int:
    """What an operator costs at most, in characters that Python's own functions look at."""
    if operator in {"#", "##", "%", "%%"}:
        pattern = arguments[0]
        return (10 * len(value) + pattern.count("[") + 10) * (len(pattern) + 1)
    return len(value) + sum(map(len, arguments))


def _unreadable(name: str) -> SubstitutionError:
    return SubstitutionError("a variable has no closing brace, or an unknown operator", variable=name)


def _in_two_ways(name: str, operator: str) -> SubstitutionError:
    return SubstitutionError(
        "Flux and a shell read this operator in two ways",
        hint="set a variable of its own to what it would give, or write a default as in ${NAME:-default}",
        variable=name,
        operator=operator,
    )


def _cased(change: Callable[[str], str], text: str) -> str:
    """Character by character, as Go has it: those that would become several stay."""
    return "".join(new if len(new := change(char)) == 1 else char for char in text)


def _substring(name: str, value: str, arguments: list[str]) -> str:
    if not all(_NUMBER.fullmatch(each) for each in arguments):
        raise SubstitutionError("a part of a value is named by numbers: ${NAME:start:length}", variable=name)
    start, *length = map(int, arguments)
    rest = value[max(start, -len(value)) :] if value else ""
    return rest[: length[0]] if length else rest


def _replaced(name: str, value: str, arguments: list[str], operator: str) -> str:
    pattern, new = arguments[0], "".join(arguments[1:])
    if any(mark in pattern for mark in "*?["):
        raise _in_two_ways(name, operator)
    match operator:
        case "/#":
            return new + value.removeprefix(pattern) if value.startswith(pattern) else value
        case "/%":
            return value.removesuffix(pattern) + new if value.endswith(pattern) else value
        case _ if not pattern:
            return value
        case _:
            times = 1 if operator == "/" else value.count(pattern)
            if len(value) + times * (len(new) - len(pattern)) > MOST_OUTPUT:
                raise LimitError("a text with its variables is too long", hint="set shorter values", limit=MOST_OUTPUT)
            return value.replace(pattern, new, times)


def _trimmed(name: str, value: str, pattern: str, operator: str) -> str:
    if len(value) * len(pattern) > _MOST_COMPARED:
        raise LimitError("a value is too long for its pattern", hint="set a shorter value", variable=name)
    of_end = operator[0] == "%"
    if (pattern and not pattern.strip("*") and len(operator) == 1) or re.search(
        r"[\[\\]" if of_end else r"\[!", pattern
    ):
        raise _in_two_ways(name, operator)
    parts = [_part(found) for found in _GLOB.finditer(pattern)]
    parts = [each for at, each in enumerate(parts) if each is not None or not at or parts[at - 1] is not None]
    lengths = _lengths(parts[::-1], value[::-1]) if of_end else _lengths(parts, value)
    if not lengths:
        return value
    length = lengths[-1] if len(operator) == 2 else lengths[0]
    return value[: len(value) - length] if of_end else value[length:]


def _part(found: re.Match[str]) -> _Part:
    escaped, many, one, negated, listed, char = found.groups()
    if many:
        return None
    if one:
        return lambda _: True
    if listed:
        spans = [(each[1] or each[3], each[2] or each[3]) for each in _SPAN.finditer(listed)]
        return lambda given: any(first <= given <= last for first, last in spans) != bool(negated)
    return lambda given: given == (escaped or char)


def _lengths(parts: list[_Part], text: str) -> list[int]:
    """How long the beginnings of a text are that a pattern matches, in one pass."""
    states = _reached({0}, parts)
    found = [0] if len(parts) in states else []
    for number, char in enumerate(text, 1):
        following: set[int] = set()
        for state in states - {len(parts)}:
            part = parts[state]
            if part is None:
                following.add(state)
            elif part(char):
                following.add(state + 1)
        states = _reached(following, parts)
        if len(parts) in states:
            found.append(number)
        if not states:
            break
    return found


def _reached(states: set[int], parts: list[_Part]) -> set[int]:
    """These places in a pattern, and those behind a star that matches nothing."""
    for start in tuple(states):
        state = start
        while state < len(parts) and parts[state] is None:
            state += 1
            states.add(state)
    return states


def _applied(name: str, operator: str, value: str, arguments: list[str]) -> str:
    """An operator that looks into a value. Flux counts bytes, and a shell characters."""
    if not value.isascii() and operator[0] in "l:#%":
        raise _in_two_ways(name, operator)
    match operator:
        case "length":
            return str(len(value))
        case "^" | "^^" | "," | ",,":
            change, end = str.upper if operator[0] == "^" else str.lower, 1 if len(operator) == 1 else len(value)
            return _cased(change, value[:end]) + value[end:]
        case ":":
            return _substring(name, value, arguments)
        case "/" | "//" | "/#" | "/%":
            return _replaced(name, value, arguments, operator)
        case _:
            return _trimmed(name, value, arguments[0], operator)
