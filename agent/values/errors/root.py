"""The error that all others are: a message, what is known, and a hint."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, LiteralString, Self, TypeAlias

from agent.values.text import cut, escape, masked

if TYPE_CHECKING:
    from agent.values.ids import ObjectId

Fact: TypeAlias = "str | int | ObjectId"

LONGEST_FACT: Final = 4096
"""Characters of a fact that is text: it may be any text of a file. The rest is left out."""


class AgentError(Exception):
    """A message that is a literal, facts that are known to be safe, and a hint of what to do."""

    case: LiteralString = ""
    """Which of several cases of its class this is, where a command distinguishes them by its exit code."""
    transient: bool = False
    """Whether the same call may succeed later without anybody changing anything."""
    usual_hint: ClassVar[LiteralString] = ""
    """What to do about most errors of the class: for those that say nothing nearer to their cause."""

    def __init__(self, message: LiteralString, *, hint: LiteralString = "", **facts: Fact) -> None:
        super().__init__(message)
        self.message: str = message
        self.hint: str = hint or self.usual_hint
        self.facts: dict[str, Fact] = _bounded(facts)

    @property
    def reason(self) -> str:
        """The class name without `Error`: what conditions, events and metrics call it."""
        return type(self).__name__.removesuffix("Error")

    def __str__(self) -> str:
        """One line: the thing, the cause, then what else is known."""
        facts = {name: escape(str(fact)) for name, fact in self.facts.items()}
        place = ":".join(facts.pop(name) for name in ("file", "line", "column") if name in facts)
        lead = [part for part in (place, facts.pop("object", ""), facts.pop("field", "")) if part]
        rest = ", ".join(f"{name.replace('_', ' ')} {fact}" for name, fact in facts.items())
        return ": ".join([*lead, self.message]) + (f" ({rest})" if rest else "")

    def copy(self) -> Self:
        """An error of its own that says the same: a traceback belongs to one raise."""
        copied = type(self).__new__(type(self), *self.args)
        vars(copied).update(vars(self))
        copied.facts = dict(self.facts)
        return copied

    def in_case(self, case: LiteralString) -> Self:
        """A copy that is another case of its class."""
        copied = self.copy()
        copied.case = case
        return copied

    def as_transient(self) -> Self:
        """A copy that passes by itself, unlike most errors of its class."""
        passing = self.copy()
        passing.transient = True
        return passing

    def with_facts(self, **facts: Fact) -> Self:
        """A copy that knows more: facts already there win. Errors are shared, by all objects of a file or users of a reference."""
        knowing = self.copy()
        knowing.facts = {**_bounded(facts), **self.facts}
        return knowing

    def with_hint(self, hint: LiteralString) -> Self:
        """A copy that says what to do where more is known of the case."""
        knowing = self.copy()
        knowing.hint = hint
        return knowing


def _bounded(facts: dict[str, Fact]) -> dict[str, Fact]:
    """Texts are cut, and private keys masked; line 0 is none: what a renderer gave stands on no line."""
    return {
        name: masked(cut(fact, LONGEST_FACT)) if isinstance(fact, str) else fact
        for name, fact in facts.items()
        if name != "line" or fact != 0
    }
