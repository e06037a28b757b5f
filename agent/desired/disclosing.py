"""Variables that are disclosed: sealed values that become clear text before they are put in, since Application and operator both say so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.manifests.resolve import Pending
from agent.values import placeholders
from agent.values.disclosure import disclosed
from agent.values.errors import AgentError, DisclosedError
from agent.values.expressions import Expression, Expressions
from agent.values.problems import Problem
from agent.values.secret import Sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from agent.manifests.references import Reference
    from agent.manifests.substitution import Variables
    from agent.values.expressions import Source
    from agent.values.placeholders import Placeholder
    from agent.values.secret import Secret


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A variable to disclose: the expression that its text is, and all that this is made of."""

    name: str
    expression: Expression
    behind: Expressions

    @property
    def sealed(self) -> tuple[Sealed, ...]:
        """The leaves that have to be opened."""
        return tuple(each for each in self.behind.inputs.values() if isinstance(each, Sealed))

    @property
    def labels(self) -> tuple[str, ...]:
        """Where its values are from."""
        return tuple(each.label if isinstance(each, Sealed) else each for each in self.behind.inputs.values())

    def pending(self, secrets: Mapping[str, Secret]) -> Pending:
        """What it is made of, with opened leaves by their ids."""
        inputs = {
            name: secrets.get(each.id) if isinstance(each, Sealed) else each
            for name, each in self.behind.inputs.items()
        }
        return Pending(self.behind, {**inputs})

    def text(
        self,
        secrets: Mapping[str, Secret],
        values: Mapping[Reference, Secret],
        clock: Callable[[], float],
        deadline: float,
    ) -> str:
        """In the clear. Raises as `Pending.made`, and PlaceholderError for a value that looks like a placeholder."""
        try:
            text = disclosed(self.pending(secrets).made(values, clock, deadline)[self.expression.placeholder])
            placeholders.refuse(text)
        except AgentError as error:
            raise error.with_facts(variable=self.name) from None
        return text


def wanted(given: Variables, sources: Mapping[Placeholder, Source], names: Collection[str]) -> tuple[Disclosure, ...]:
    """The variables of these names that are sealed."""
    sealed = {name: given.values[name] for name in sorted({*names} & given.values.keys())}
    made = {name: Expression("concat", (text,)) for name, text in sealed.items() if placeholders.is_marked(text)}
    known: dict[str, Expression] = {name: each for name, each in sources.items() if isinstance(each, Expression)}
    inputs: dict[str, Sealed | str] = {name: each for name, each in sources.items() if not isinstance(each, Expression)}
    every = Expressions({**known, **{each.placeholder: each for each in made.values()}}, inputs)
    return tuple(Disclosure(name, each, every.behind([each.placeholder])) for name, each in made.items())


def labels(given: Variables, sources: Mapping[Placeholder, Source]) -> dict[str, str]:
    """The names of variables with sealed values, by what each value is labelled with."""
    return {label: each.name for each in wanted(given, sources, given.values) for label in each.labels}


def put_in(given: Variables, texts: Mapping[str, str]) -> Variables:
    """The variables with these in the clear. Where a secret may stand they stay sealed."""
    sealed = {name: given.values[name] for name in texts}
    return replace(given, values={**given.values, **texts}, sealed=sealed, foreign=given.foreign | texts.keys())


def warning(names: Collection[str]) -> tuple[Problem, ...]:
    """That they are in the clear."""
    if not names:
        return ()
    return (Problem(DisclosedError("variables with sealed values are disclosed", variables=", ".join(sorted(names)))),)
