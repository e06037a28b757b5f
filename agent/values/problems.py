"""What is wrong with an object, a file or both; and repeated problems together: forty templates in a folder are one thing to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.values.errors import AgentError
    from agent.values.ids import ObjectId

_PLACE = frozenset({"file", "line", "column", "object"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to correct. `object` is None where it is in no object or the object is unknown, `file` empty where it is in no one file.

    It outlives the run that met it, so its error is one without a traceback: that would keep the variables of all functions that it passed.
    """

    error: AgentError
    object: ObjectId | None = None
    file: str = ""

    def __post_init__(self) -> None:
        if self.error.__traceback__ is not None:
            object.__setattr__(self, "error", self.error.copy())


@dataclass(frozen=True, slots=True)
class Repeated:
    """Problems that differ in nothing but their place, in order; at least one."""

    problems: tuple[Problem, ...]

    @property
    def error(self) -> AgentError:
        """What is to be said of all of them: that of the first, without a place where there are several."""
        error = self.problems[0].error.copy()
        if len(self.problems) > 1:
            error.facts = {name: fact for name, fact in error.facts.items() if name not in _PLACE}
        return error


def repeated(problems: Iterable[Problem], *, objects: bool) -> list[Repeated]:
    """In the order of their first problems. `objects`: problems of objects are put together too, not only those of files."""
    found: dict[tuple[object, ...], list[Problem]] = {}
    for number, problem in enumerate(problems):
        error = problem.error
        alone = not objects and (problem.object is not None or "object" in error.facts)
        rest = tuple((name, str(fact)) for name, fact in error.facts.items() if name not in _PLACE)
        key = (number,) if alone else (type(error), error.message, error.hint, rest)
        found.setdefault(key, []).append(problem)
    return [Repeated(tuple(each)) for each in found.values()]
