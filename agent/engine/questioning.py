"""Questions: what templates asked of values that they did not know is asked of the values, before anything counts that was rendered.

All of a chart's questions have one verdict. It names no question, no operand and no answer, so a commit reveals one bit of its values. And
the number of such commits is limited: after three sets of questions that failed, another one is not asked without a confirmation.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.api import names
from agent.engine.ports import Resolved
from agent.engine.record import QuestionRecord
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

MOST_FAILED: Final = 3
_SECONDS: Final = 5
"""For all questions of a chart."""


async def verdict(
    run: Run, questions: Sequence[Question], opened: Opened, answers: Mapping[Reference, Resolved | AgentError]
) -> AgentError | None:
    """Why nothing of what was opened counts: an answer differs, or is not known. None where all are right."""
    asked, clock = opened.asked, run.ports.clock.monotonic
    if not questions or asked is None:
        return None
    known, content = _known(run), _content(run, questions)
    if len(known.failed) >= MOST_FAILED and content not in (known.passed, *known.failed):
        word = _confirmation(known, content)
        if run.application.annotations.get(names.ANNOTATION_CONFIRM_QUESTIONS, "") != word:
            return _unasked(questions, word)
        known = QuestionRecord((), known.passed, known.confirmed + 1)
        await run.ledger.save(replace(run.ledger.record, questions=known))
    values: dict[Reference, Secret] = {}
    for reference in references.find(asked.inputs):
        answer = answers[reference]
        if not isinstance(answer, Resolved):
            return answer
        values[reference] = answer.secret
    wrong = await run.ports.tasks.in_thread(lambda: judged(questions, asked, values, clock))
    if wrong is None:
        # stored with what is applied
        run.ledger.record = replace(run.ledger.record, questions=replace(known, passed=content))
    elif content not in known.failed:
        # before it shows what came of it
        await run.ledger.save(replace(run.ledger.record, questions=replace(known, failed=(*known.failed, content))))
    return wrong


def _known(run: Run) -> QuestionRecord:
    return run.ledger.record.questions or QuestionRecord()


def _content(run: Run, questions: Sequence[Question]) -> str:
    """A digest of what is asked: of other values, or something else, is another one."""
    texts = sorted(f"{each.op} {each.answer} {each.args}" for each in questions)
    return run.fingerprints.desired.text(run.application_id.uid, "questions", *texts)


def _confirmation(known: QuestionRecord, content: str) -> str:
    """Names these questions, after those that failed."""
    text = "\n".join([str(known.confirmed), *known.failed, content])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _unasked(questions: Sequence[Question], word: str) -> AgentError:
    return QuestionError(
        "the chart asks sealed values something else after three sets of questions that failed, so it is not asked without a confirmation",
        hint="read what the templates ask; then run agent sync NAME --confirm-questions with the value after confirm",
        templates=_templates(questions),
        confirm=word,
    )


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
    return QuestionError(
        "the chart was rendered as if its sealed values were others: a template decides by one of them",
        templates=_templates(questions),
    )


def _templates(questions: Sequence[Question]) -> str:
    return clear.listed([*dict.fromkeys(f"{each.file}:{each.line}" for each in questions)])
