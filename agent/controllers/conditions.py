"""What an Application's conditions say: of a run, and of how its objects stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from agent.api import durations
from agent.api.status import Condition, cut
from agent.values.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.api.application import Application
    from agent.api.status import ApplicationStatus, ConditionType, Counts, Failure
    from agent.controllers.status import Standing
    from agent.engine.outcome import Outcome

_LOSSES: Final = {
    "RecordLost": "the record of what was applied was gone; everything was applied again",
    "RecordDamaged": "the record of what was applied did not verify; everything was applied again",
}
_MESSAGE: Final = 2048


def of(
    application: Application, standing: Standing, outcome: Outcome, failures: Sequence[Failure], counts: Counts
) -> tuple[Condition, ...]:
    """The conditions after a run, or between two."""
    generation = application.generation
    first = failures[0] if failures else None
    ready, retrying = False, bool(failures) and outcome.transient
    waiting = _waiting(outcome, generation)
    if first:
        reason, message = first.reason, _summary(first, len(outcome.problems))
    elif waiting:
        reason, message, retrying = waiting.reason, waiting.message, True
    elif outcome.pending:
        reason, message = (
            "Detected",
            f"{counted(len(outcome.pending), 'object', 'differs')}, and spec.sync.mode is detect",
        )
    else:
        reason, message = "Applied", f"{counted(counts.total, 'object')} as in {standing.record.revision or 'Git'}"
        ready = True
    health_status, health_reason, health_message = _health(standing, failed=bool(failures))
    fought = standing.walked.fought
    drift = f"{counted(counts.drifted, 'object', 'differs')} from the revision" if counts.drifted else ""
    lost = condition("RecordLost", "True", standing.loss, _LOSSES.get(standing.loss, ""), generation)
    return (
        condition("Ready", "True" if ready else "False", reason, message, generation),
        condition("Reconciling", "True" if retrying else "False", reason, message if retrying else "", generation),
        condition(
            "Stalled",
            "True" if first and not outcome.transient else "False",
            reason,
            message if first else "",
            generation,
        ),
        condition("Healthy", health_status, health_reason, health_message, generation),
        condition(
            "Drifted",
            "True" if counts.drifted else "False",
            "Fight" if fought else "Drifted" if counts.drifted else "InSync",
            f"{drift}; fields keep being added to {fought}" if fought else drift,
            generation,
        ),
        *((lost,) if standing.loss else ()),
        *((waiting,) if waiting else ()),
    )


def _waiting(outcome: Outcome, generation: int) -> Condition | None:
    """What the newest commit waits for; None where it does not."""
    first = next(iter(outcome.waits), None)
    if first is None:
        return None
    more = f" (and {len(outcome.waits) - 1} more)" if len(outcome.waits) > 1 else ""
    return condition("Waiting", "True", first.reason, f"{outcome.state.checked}: {first}{more}", generation)


def _summary(first: Failure, problems: int) -> str:
    place = first.object or first.file
    more = f" (and {problems - 1} more)" if problems > 1 else ""
    later = f", next attempt {first.retry_at}" if first.retry_at else ""
    return (f"{place}: {first.message}" if place else first.message) + more + later


def _health(standing: Standing, *, failed: bool) -> tuple[Literal["True", "False", "Unknown"], str, str]:
    walked, record = standing.walked, standing.record
    if record.revision is None and not any(item.uid for item in record.objects.values()):
        return "Unknown", "Unknown", "nothing has been applied yet"
    if not walked.worst:
        none = "there are 0 objects"
        return ("Unknown", "Unknown", f"{none}, and the last run failed") if failed else ("True", "Healthy", none)
    worst, health = walked.worst[0].object, walked.worst[0].health
    if health.status == "Healthy":
        return "True", "Healthy", ""
    return "Unknown" if health.status == "Unknown" else "False", health.status, f"{worst}: {health.message}"


def condition(
    kind: ConditionType, status: Literal["True", "False", "Unknown"], reason: str, message: str, generation: int
) -> Condition:
    """One condition; `with_times` dates it."""
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=cut(message, _MESSAGE),
        last_transition_time="1970-01-01T00:00:00Z",
        observed_generation=generation,
    )


def with_times(status: ApplicationStatus, before: ApplicationStatus, now: float) -> ApplicationStatus:
    """Conditions keep the time of their last transition."""
    known = {each.type: each for each in before.conditions}
    timed = tuple(
        each.model_copy(
            update={
                "last_transition_time": known[each.type].last_transition_time
                if each.type in known and known[each.type].status == each.status
                else durations.timestamp(now)
            }
        )
        for each in status.conditions
    )
    return status.model_copy(update={"conditions": timed})
