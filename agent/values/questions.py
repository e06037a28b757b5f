"""Questions: what a template asked of a value that it did not know.

It was rendered as if the answer were that for the placeholder. The value is asked when it is opened, before anything counts that was
rendered. No operand and no answer goes into any message: it would say something about the value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values import placeholders
from agent.values.dataclass import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.values.placeholders import Placeholder


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `args` are texts with placeholders, the first one holds the value; `file` and `line` are of the template."""

    op: str
    args: tuple[str, ...] = field(repr=False)
    answer: bool = field(repr=False)
    file: str
    line: int


def about(questions: Iterable[Question]) -> list[Placeholder]:
    """The placeholders of the values that questions are about."""
    return [each for question in questions for text in question.args for each in placeholders.find(text)]
