"""Questions: what templates asked of values that they did not know is asked of the values, before anything counts that was rendered.

All of a chart's questions have one verdict. It names no question, no operand and no answer, so a commit tells one bit of its values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.engine.ports import Resolved
from agent.manifests import references
from agent.sops.kubernetes import clear
from agent.values.errors import AgentError, QuestionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.engine.context import Run
    from agent.engine.opening import Opened
    from agent.manifests.references import Reference
    from agent.manifests.resolve import Pending
    from agent.values.questions import Question
    from agent.values.secret import Secret

_SECONDS: Final = 5
"""For all questions of a chart."""


async def verdict(
    run: Run, questions: Sequence[Question], opened: Opened, answers: Mapping[Reference, Resolved | AgentError]
) -> AgentError | None:
    """Why nothing of what was opened counts: an answer differs, or is not known. None where all are right."""
    asked, clock = opened.asked, run.ports.clock.monotonic
    if not questions or asked is None:
        return None
    values: dict[Reference, Secret] = {}
    for reference in references.find(asked.inputs):
        answer = answers[reference]
        if not isinstance(answer, Resolved):
            return answer
        values[reference] = answer.secret
    return await run.ports.tasks.in_thread(lambda: judged(questions, asked, values, clock))


def judged(
    questions: Sequence[Question], asked: Pending, values: Mapping[Reference, Secret], clock: Callable[[], float]
) -> AgentError | None:
    """As `verdict`, of values that are opened and resolved. Every question is asked, whatever the others say."""
    try:
        evaluation = asked.evaluation(values, clock, clock() + _SECONDS)
        right = [evaluation.holds(each) for each in questions]
    except AgentError as error:
        return error
    if all(right):
        return None
    places = dict.fromkeys(f"{each.file}:{each.line}" for each in questions)
    return QuestionError(
        "the chart was rendered as if its sealed values were others: a template decides by one of them",
        templates=clear.listed([*places]),
    )
