"""Expressions: what a renderer would have done with a sealed value, written down and done when the value is opened.

An argument is a text with placeholders. A placeholder stands for an input (what a file, a store or the cluster gave) or for another
expression, whose own placeholder is a hash of operation and arguments. What an evaluation may cost is bounded whatever a renderer asks
for, since it is done beside plaintext.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from agent.values import derive, placeholders, sprig
from agent.values.dataclass import dataclass, field
from agent.values.errors import LimitError, PlaceholderError
from agent.values.placeholders import Placeholder
from agent.values.secret import PUBLIC, Sealed, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from agent.values.hashing import Salts
    from agent.values.questions import Question

MOST_OUTPUT: Final = 1024 * 1024
"""Characters of one result."""
_TOGETHER: Final = 16 * MOST_OUTPUT
"""Characters of all results of an evaluation, since each is kept until its end."""
MOST_DEPTH: Final = 32
MOST_STEPS: Final = 10_000
MOST_SLOW: Final = 32
"""Hashes and passwords that take long by design, of one evaluation."""
_SLOW_SECONDS: Final = 1.0
"""What one of them adds to the deadline."""
UNPLACED: Final = "bcrypt"
"""A hash as a renderer asks for it; where it stands is not known there."""
HASHED: Final = "hashed"
"""A hash of a text at a place."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One operation: `concat` of one argument is the text itself."""

    op: str
    args: tuple[str, ...]

    @property
    def placeholder(self) -> Placeholder:
        return placeholders.of("expr", self.op, *self.args)

    def sealed(self, label: str, *, public: bool = False) -> Sealed:
        """The leaf that it is until it is evaluated, known by its placeholder. `public`: it is made of nothing secret."""
        return Sealed(self.placeholder, label, PUBLIC if public else "expression")


Source: TypeAlias = Sealed | Expression | str
"""What a placeholder stands for: an unopened value, an operation, or the text of a reference."""


@dataclass(frozen=True, slots=True)
class Expressions:
    """Expressions by their placeholders, which are the ids of their leaves too, and what other placeholders in them stand for."""

    known: Mapping[str, Expression] = field(default_factory=dict[str, Expression])
    inputs: Mapping[str, Sealed | str] = field(default_factory=dict[str, Sealed | str])

    def behind(self, ids: Iterable[str]) -> Expressions:
        """Those of these leaves, with all that they are made of."""
        known: dict[str, Expression] = {}
        inputs: dict[str, Sealed | str] = {}
        waiting = list(ids)
        while waiting:
            placeholder = waiting.pop()
            if placeholder in self.known and placeholder not in known:
                expression = known[placeholder] = self.known[placeholder]
                waiting += (each for text in expression.args for each in placeholders.find(text))
            elif placeholder in self.inputs:
                inputs[placeholder] = self.inputs[placeholder]
        return Expressions(known, inputs)


@dataclass(slots=True)
class Evaluation:
    """The values of one Application's expressions. `known` and `inputs` are by placeholder, `deadline` is of the `clock`.

    Without `salts` no hash has a value.
    """

    known: Mapping[str, Expression]
    inputs: Mapping[str, Secret]
    clock: Callable[[], float]
    deadline: float
    salts: Salts | None = None
    _steps: int = 0
    _slow: int = 0
    _size: int = 0
    _done: dict[Placeholder, Secret] = field(default_factory=dict["Placeholder", Secret], repr=False)

    def value(self, expression: Expression) -> Secret:
        """Raises LimitError, SecretValueError, and PlaceholderError for what nothing is known of."""
        return self._value(expression, MOST_DEPTH)

    def holds(self, question: Question) -> bool:
        """Whether a question has the answer that a chart was rendered for. Raises as `value`."""
        self._step()
        value, *others = [self._argument(text, MOST_DEPTH, indents=False) for text in question.args]
        if not isinstance(value, Secret):
            raise PlaceholderError("a question is about no sealed value")
        return derive.agrees(question.op, value, others, expected=question.answer)

    def _value(self, expression: Expression, depth: int) -> Secret:
        placeholder = expression.placeholder
        if placeholder in self._done:
            return self._done[placeholder]
        if depth <= 0:
            raise LimitError("operations on a sealed value are nested too deeply", hint=_HINT, limit=MOST_DEPTH)
        self._step()
        operation = _operation(expression)
        arguments = [self._argument(text, depth - 1, indents=operation.indents) for text in expression.args]
        first = arguments[0]
        if not isinstance(first, Secret):
            if not operation.takes_clear:
                raise PlaceholderError("an operation is on no sealed value", operation=expression.op)
            first = Secret(first, expression.op)
        result = self._result(operation, first, arguments[1:])
        size = derive.size(result)
        self._size += size
        if size > MOST_OUTPUT or self._size > _TOGETHER:
            raise LimitError("what is made of a sealed value is too long", hint=_HINT, limit=MOST_OUTPUT)
        self._done[placeholder] = result
        return result

    def _result(self, operation: _Operation, value: Secret, rest: Sequence[str | Secret]) -> Secret:
        self._slow += operation.is_slow
        self.deadline += _SLOW_SECONDS * operation.is_slow
        if self._slow > MOST_SLOW:
            raise LimitError("too many slow functions of sealed values in one object", hint=_HINT, limit=MOST_SLOW)
        if operation is not _OPERATIONS[HASHED]:
            return operation.result(value, rest)
        if self.salts is None or not isinstance(rest[0], str):
            raise PlaceholderError("a hash of a sealed value is not made here")
        return self.salts.hashed(value, rest[0])

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise LimitError("too many operations on sealed values", hint=_HINT, limit=MOST_STEPS)
        if self.clock() > self.deadline:
            raise LimitError("operations on sealed values took too long", hint=_HINT)

    def _argument(self, text: str, depth: int, *, indents: bool) -> str | Secret:
        """A text with values in it. An argument that is one value alone keeps its type."""
        parts = placeholders.split(text)
        if len(parts) == 1:
            return text
        values: list[str | Secret] = []
        left = derive.LONGEST
        for number, part in enumerate(parts):
            if number % 2 == 0:
                values.append(part)
                continue
            value = self._operand(Placeholder(part), depth)
            spaces = _indentation(parts[number - 1]) if indents else 0
            values.append(derive.indent(value, spaces) if spaces else value)
            left -= derive.size(values[-1])
            if left < 0:
                raise LimitError("what is made of a sealed value is too long", hint=_HINT, limit=derive.LONGEST)
        return values[1] if len(text) == placeholders.LENGTH else derive.concat(values)

    def _operand(self, placeholder: Placeholder, depth: int) -> Secret:
        self._step()
        if placeholder in self.inputs:
            return self.inputs[placeholder]
        if placeholder in self.known:
            return self._value(self.known[placeholder], depth)
        raise PlaceholderError("a sealed value in an operation is not known", placeholder=placeholder)


def check(expression: Expression) -> None:
    """Whether its operation is one of ours, on what it takes. Raises PlaceholderError."""
    _ = _operation(expression)
    for text in expression.args:
        _ = placeholders.split(text)


def _operation(expression: Expression) -> _Operation:
    found = _OPERATIONS.get(expression.op)
    if found is None or len(expression.args) != found.arguments:
        raise PlaceholderError("an operation on a sealed value is not known", operation=expression.op)
    return found


def _indentation(before: str) -> int:
    """How far a placeholder is moved right on its line, where that is not the first of the text; 0 where anything else stands there."""
    _, found, line = before.rpartition("\n")
    return len(line) if found and not line.strip(" ") else 0


@dataclass(frozen=True, slots=True)
class _Operation:
    result: Callable[[Secret, Sequence[str | Secret]], Secret]
    arguments: int = 1
    indents: bool = False
    """Whether a value of several lines is moved right as far as its placeholder, as the text around it is."""
    is_slow: bool = False
    takes_clear: bool = False
    """Whether it may be on a text without a sealed value."""


def _clip(value: Secret, rest: Sequence[str | Secret]) -> Secret:
    breaks = rest[0]
    if not isinstance(breaks, str) or breaks.strip("\n"):
        raise PlaceholderError("an operation on a sealed value is not known", operation="clip")
    return derive.clip(value, breaks)


def _unplaced(_value: Secret, _rest: Sequence[str | Secret]) -> Secret:
    raise PlaceholderError("a hash of a sealed value is used before it is known where it stands")


def _indent(value: Secret, rest: Sequence[str | Secret]) -> Secret:
    spaces = rest[0]
    if not isinstance(spaces, str) or not re.fullmatch(r"[0-9]{1,4}", spaces):
        raise PlaceholderError("an operation on a sealed value is not known", operation="indent")
    return derive.indent(value, int(spaces))


_HINT: Final = "split what is rendered, or name the Secret where the value is needed"
_OPERATIONS: Final[dict[str, _Operation]] = {
    "concat": _Operation(lambda value, _: derive.text(value), indents=True),
    "text": _Operation(lambda value, _: derive.text(value)),
    "clip": _Operation(_clip, arguments=2),
    "indent": _Operation(_indent, arguments=2),
    "b64enc": _Operation(lambda value, _: derive.base64_encode(value)),
    "dotenv": _Operation(lambda value, _: derive.dotenv(value)),
    "godotenv": _Operation(lambda value, _: derive.unquoted(value)),
    "json": _Operation(lambda value, _: derive.json_string(value)),
    "rawjson": _Operation(lambda value, _: derive.json_string(value, html=False)),
    "goquote": _Operation(lambda value, _: derive.go_quoted(value)),
    "derivePassword": _Operation(derive.master_password, arguments=5, is_slow=True, takes_clear=True),
    UNPLACED: _Operation(_unplaced, takes_clear=True),
    HASHED: _Operation(_unplaced, arguments=2, is_slow=True, takes_clear=True),
    **{
        name: _Operation(partial(derive.applied, name), arguments=1 + parameters)
        for name, (_, parameters) in sprig.FUNCTIONS.items()
    },
}
