"""Values that are made of others, as a render leaves them: what of them is known where not every value is open."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from agent.engine import questioning
from agent.manifests import hashed, references
from agent.manifests.resolve import Pending
from agent.values import questions
from agent.values.secret import Sealed, Secret
from agent.values.tree import walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.desired.compiler import DesiredState
    from agent.values.errors import AgentError
    from agent.values.expressions import Expressions
    from agent.values.questions import Question
    from agent.values.tree import Object

_SECONDS: Final = 5.0
"""For the expressions of one object."""


def of(
    tree: Object, expressions: Expressions, secrets: dict[str, Secret], unopened: Secret | None
) -> dict[str, Secret]:
    """The leaves of an object that are made of opened values, by id.

    What waits for a store or for a file that did not open is `unopened`; None: it is left out. So is a hash, whose salt only the agent knows.
    Raises as evaluating does.
    """
    found: dict[str, Secret] = {}
    deadline = time.monotonic() + _SECONDS
    for _, leaf in walk(tree):
        if not isinstance(leaf, Sealed) or leaf.id not in expressions.known:
            continue
        behind = expressions.behind([leaf.id])
        inputs: Object = {
            name: secrets.get(each.id) if isinstance(each, Sealed) else each for name, each in behind.inputs.items()
        }
        known = all(isinstance(each, Secret) and each is not unopened for each in inputs.values())
        if known and not references.find(inputs) and not hashed.asks(behind):
            found[leaf.id] = Pending(behind, inputs).made({}, time.monotonic, deadline)[leaf.id]
        elif unopened is not None:
            found[leaf.id] = unopened
    return found


def inputs(tree: Object, expressions: Expressions, secrets: Mapping[str, Secret]) -> Object:
    """What the leaves of an object are made of, as far as it is open."""
    behind = expressions.behind([leaf.id for _, leaf in walk(tree) if isinstance(leaf, Sealed)])
    return {
        name: secrets.get(each.id, each) if isinstance(each, Sealed) else each for name, each in behind.inputs.items()
    }


def answered(state: DesiredState, secrets: Mapping[str, Secret], unopened: Secret | None) -> AgentError | None:
    """Why nothing of a chart counts: a question about its values has another answer. One about a value that is not open here is left out."""
    known: list[Question] = []
    behind = {question: state.expressions.behind(questions.about([question])) for question in state.questions}
    every: dict[str, Secret] = {}
    for question, each in behind.items():
        found = {name: secrets.get(leaf.id) if isinstance(leaf, Sealed) else None for name, leaf in each.inputs.items()}
        open_ = {name: value for name, value in found.items() if value is not None and value is not unopened}
        if len(open_) == len(found) and not references.find({**open_}):
            known.append(question)
            every |= open_
    pending = Pending(state.expressions.behind(questions.about(known)), {**every})
    return questioning.judged(known, pending, {}, time.monotonic) if known else None
