"""What an Application's status says after a run. A function of the run; the status before serves only to keep times and history."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from agent.api import durations
from agent.api.status import LONGEST_NOTES, ApplicationStatus, Counts, Failure, ObjectStatus, SyncRecord, cut
from agent.controllers import conditions
from agent.controllers.standing import walk
from agent.engine.causes import Cause, Trigger
from agent.engine.record import ApplicationRecord
from agent.values.problems import repeated
from agent.values.text import counted, excerpt, excerpts, few

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Self

    from agent.api.application import Application
    from agent.controllers.standing import Walked
    from agent.engine.live import LiveFact
    from agent.engine.outcome import Outcome
    from agent.manifests.layers import Desired
    from agent.values.errors import AgentError
    from agent.values.ids import ObjectId
    from agent.values.problems import Problem, Repeated
    from agent.values.tree import Object

SUSPENDED: Final = "Suspended"
"""The reason while `spec.suspend` is set, of the condition and of the metric."""
_LARGEST: Final = 32 * 1024
_HISTORY: Final = 10
_FAILURES: Final = 50
_WARNINGS: Final = 20
_HEADLINE: Final = 120
"""Characters of a commit's subject and author."""

_UNRECORDED: Final = ApplicationRecord()


@dataclass(frozen=True)
class Standing:
    """An Application at one moment: its record, what is known of its live objects, which objects it asks for, and why a record was lost.

    `held` and `failed` are the objects that are not as they should be, and why; `seen` as `walk` has it. `now` is in Unix seconds.
    """

    record: ApplicationRecord = _UNRECORDED
    live: Mapping[ObjectId, LiveFact] = field(default_factory=dict["ObjectId", "LiveFact"])
    desired: Mapping[ObjectId, Desired] = field(default_factory=dict["ObjectId", "Desired"])
    loss: str = ""
    held: Mapping[ObjectId, AgentError] = field(default_factory=dict["ObjectId", "AgentError"])
    failed: Mapping[ObjectId, AgentError] = field(default_factory=dict["ObjectId", "AgentError"])
    seen: Collection[tuple[str, str]] | None = None
    now: float = 0.0

    @classmethod
    def of(
        cls, record: ApplicationRecord, live: Mapping[ObjectId, LiveFact], outcome: Outcome, *, loss: str, now: float
    ) -> Self:
        """After a run, or between two."""
        desired = outcome.desired or outcome.state.desired
        held: Mapping[ObjectId, AgentError] = desired.held if desired else {}
        failed = {each.id: each.error for each in outcome.results if each.error is not None and each.id not in held}
        return cls(record, live, desired.everything if desired else {}, loss, held, failed, outcome.seen, now)

    @cached_property
    def walked(self) -> Walked:
        """Done once, however much of a status is made of it."""
        return walk(
            self.record,
            self.live,
            self.desired,
            held=self.held,
            failed=self.failed,
            seen=self.seen,
            now=self.now,
        )

    @property
    def objects(self) -> tuple[ObjectStatus, ...]:
        """How the objects stand, as many as a status has room for."""
        return tuple(
            ObjectStatus(
                object=cut(str(each.object)),
                health=each.health.status,
                message=cut(each.health.message),
                sync=each.sync,
                file=cut(", ".join(excerpts(each.files))),
                rendered_from=cut(each.rendered_from),
                created_at=each.created or None,
            )
            for each in self.walked.worst
        )


def compute(
    application: Application,
    standing: Standing,
    outcome: Outcome,
    before: ApplicationStatus,
    *,
    triggers: frozenset[Trigger],
    started: float,
    now: float,
) -> ApplicationStatus:
    """The status after a run. `started` and `now` are Unix seconds."""
    repeats = repeated(outcome.problems, objects=False)
    failures = tuple(_failure(each, outcome) for each in repeats[:_FAILURES])
    warnings = tuple(
        Failure.of(problem.error, object=str(problem.object or ""), file=problem.file)
        for problem in _warnings(outcome)[:_WARNINGS]
    )
    counted = counts(standing, outcome)
    status = ApplicationStatus(
        observed_generation=application.generation,
        revision=cut(str(standing.record.revision)) if standing.record.revision else None,
        checked_revision=cut(str(outcome.state.checked)) if outcome.state.checked else None,
        conditions=conditions.of(application, standing, outcome, failures, counted),
        counts=counted,
        objects=standing.objects,
        failures=failures,
        warnings=warnings,
        history=before.history,
        heals=before.heals,
        last_handled_requested_at=cut(application.requested_at) or None,
        notes=cut(outcome.desired.notes, LONGEST_NOTES) or None if outcome.desired else before.notes,
    )
    if outcome.results or (not outcome.waits and _story(status) != _story(before)):
        fresh = _is_fresh(outcome, before)
        entry = _entry(outcome, triggers, fresh=fresh, failed=bool(failures), started=started, now=now)
        kept = "heals" if _is_heal(outcome, triggers) and not fresh else "history"
        status = status.model_copy(update={kept: (entry, *getattr(before, kept))[:_HISTORY]})
    return fit(conditions.with_times(status, before, now))


def _is_heal(outcome: Outcome, triggers: frozenset[Trigger]) -> bool:
    """Whether a run did nothing but put back manual changes."""
    if outcome.results:
        return all(result.action == Cause.EDIT.action for result in outcome.results)
    return triggers <= {Trigger.LIVE}


def _is_fresh(outcome: Outcome, before: ApplicationStatus) -> bool:
    """Whether a run took a commit that was not looked at before, or that had to wait."""
    checked = outcome.state.checked
    if checked is None or outcome.waits:
        return False
    waited = any(each.type == "Waiting" for each in before.conditions)
    return waited or cut(str(checked)) != (before.checked_revision or before.revision)


def _entry(
    outcome: Outcome, triggers: frozenset[Trigger], *, fresh: bool, failed: bool, started: float, now: float
) -> SyncRecord:
    checked = outcome.state.checked
    revision = checked if fresh else outcome.revision or checked
    causes = {"git", *triggers} - {Trigger.INTERVAL} if fresh else triggers
    return SyncRecord(
        revision=cut(str(revision or "")),
        started_at=durations.timestamp(started),
        finished_at=durations.timestamp(now),
        result="succeeded" if not failed else "partial" if outcome.desired or outcome.results else "failed",
        cause=_cause(outcome, causes),
        subject=excerpt(revision.subject, _HEADLINE) if revision else "",
        author=excerpt(revision.author, _HEADLINE) if revision else "",
    )


def _cause(outcome: Outcome, started: Collection[str]) -> str:
    """What started a run and, behind it, why it changed what it did."""
    found: dict[str, None] = {}
    for done in outcome.results:
        if done.wrote and done.why is not None:
            edited = done.why.cause == Cause.EDIT and done.writer is not None
            found[f"{done.why} by {cut(done.writer.manager)}" if edited and done.writer else str(done.why)] = None
    words = "+".join(sorted(started))
    return cut(f"{words}: {few(found)}" if found else words)


def refresh(
    application: Application, standing: Standing, outcome: Outcome, before: ApplicationStatus, now: float
) -> ApplicationStatus:
    """The last status with the health and drift of this moment, and what is finished by now."""
    counted = counts(standing, outcome)
    judged = {item.type: item for item in conditions.of(application, standing, outcome, before.failures, counted)}
    said = tuple(judged[item.type] if item.type in {"Healthy", "Drifted"} else item for item in before.conditions)
    finished = before.counts.model_copy(update={"finished": counted.finished})
    changes = {"conditions": said, "counts": finished, "objects": standing.objects}
    return fit(conditions.with_times(before.model_copy(update=changes), before, now))


def suspended(application: Application, before: ApplicationStatus, now: float) -> ApplicationStatus:
    """The status of an Application that its user stopped."""
    said = (conditions.condition("Ready", "Unknown", SUSPENDED, "spec.suspend is set", application.generation),)
    status = before.model_copy(
        update={
            "conditions": said,
            "observed_generation": application.generation,
            "last_handled_requested_at": cut(application.requested_at) or None,
        }
    )
    return conditions.with_times(status, before, now)


def refused(generation: int, error: AgentError, before: ApplicationStatus, now: float) -> ApplicationStatus:
    """The status of an Application whose run could not even begin."""
    failure = Failure.of(error)
    said = (
        conditions.condition("Ready", "False", failure.reason, failure.message, generation),
        conditions.condition("Stalled", "True", failure.reason, failure.message, generation),
    )
    status = before.model_copy(update={"conditions": said, "failures": (failure,), "observed_generation": generation})
    return conditions.with_times(status, before, now)


def signed(status: ApplicationStatus, agent: str, epoch: int, since: float) -> ApplicationStatus:
    """The status as the word of one agent under one epoch, which it holds `since` then, in Unix seconds; epoch 0: it holds none."""
    return status.model_copy(
        update={"agent": agent, "epoch": epoch or None, "since": durations.timestamp(since) if epoch else None}
    )


def of_tree(tree: Object) -> ApplicationStatus:
    """The status that an Application object carries; an empty one where it cannot be read."""
    try:
        return ApplicationStatus.model_validate_json(json.dumps(tree))
    except ValueError:
        return ApplicationStatus()


def differs(status: ApplicationStatus, before: ApplicationStatus) -> bool:
    """Whether a status is worth a write: anything but the times."""
    kept = (status.history, status.heals)
    return _essence(status) != _essence(before) or kept != (before.history, before.heals)


def only_checked(status: ApplicationStatus, before: ApplicationStatus) -> bool:
    """Whether nothing is new, or nothing but the commit that was looked at."""
    return not differs(status.model_copy(update={"checked_revision": before.checked_revision}), before)


def counts(standing: Standing, outcome: Outcome) -> Counts:
    """Objects by what became of them."""
    held: frozenset[ObjectId] = frozenset(outcome.desired.held) if outcome.desired else frozenset()
    objects = outcome.desired.objects if outcome.desired else standing.record.objects
    total = len(objects) + sum(key not in objects for key in held)
    applied = sum(result.wrote and result.action not in {"prune", "forget"} for result in outcome.results)
    failed = sum(result.error is not None and result.id not in held for result in outcome.results)
    return Counts(
        total=total,
        applied=applied,
        unchanged=max(0, total - applied - failed - len(held)),
        held=len(held),
        failed=failed,
        drifted=len(standing.walked.drifted | outcome.pending),
        finished=standing.walked.finished,
        pruned=sum(result.wrote and result.action == "prune" for result in outcome.results),
        warnings=len(_warnings(outcome)),
    )


def _warnings(outcome: Outcome) -> tuple[Problem, ...]:
    return outcome.desired.warnings if outcome.desired else ()


def _failure(repeats: Repeated, outcome: Outcome) -> Failure:
    problem, more = repeats.problems[0], len(repeats.problems) - 1
    failure = Failure.of(problem.error, object=str(problem.object or ""), file=_file(problem, outcome))
    return (
        failure.model_copy(update={"message": f"{failure.message} (and {counted(more, 'time')} more)"})
        if more
        else failure
    )


def _file(problem: Problem, outcome: Outcome) -> str:
    """Where to look in the repository: the file at fault, else all files that had a say in the object at fault."""
    if problem.file or problem.object is None or outcome.desired is None:
        return problem.file
    desired = outcome.desired.objects.get(problem.object)
    return ", ".join(excerpts(desired.files)) if desired else ""


def fit(status: ApplicationStatus) -> ApplicationStatus:
    """At most 32 KiB: notes go first, then objects, warnings and failures, and the counts stay."""
    if len(status.model_dump_json(by_alias=True)) <= _LARGEST:
        return status
    status = status.model_copy(update={"notes": None})
    while len(status.model_dump_json(by_alias=True)) > _LARGEST:
        lists = (("objects", status.objects), ("warnings", status.warnings), ("failures", status.failures))
        found = next(((name, kept) for name, kept in lists if kept), None)
        if found is None:
            break
        status = status.model_copy(update={found[0]: found[1][: len(found[1]) // 2]})
    return status


def _essence(status: ApplicationStatus) -> dict[str, object]:
    """What a reader would call a change: no times, no history, and no counts of what the last run did."""
    untimed = tuple({**vars(condition), "last_transition_time": ""} for condition in status.conditions)
    counts = {**vars(status.counts), "applied": 0, "unchanged": 0, "pruned": 0}
    return {**vars(status), "conditions": untimed, "history": (), "heals": (), "counts": counts}


def _story(status: ApplicationStatus) -> object:
    """What is worth an entry of the history: another try, request or commit that comes to the same is none, nor is another agent or a rollout."""
    failures = tuple({**vars(failure), "retry_at": None} for failure in status.failures)
    said = tuple(each.model_copy(update={"message": ""}) for each in status.conditions if each.type != "Healthy")
    checked = status.checked_revision if status.failures else None
    looked = {"checked_revision": checked, "last_handled_requested_at": None}
    beside = {"agent": None, "epoch": None, "since": None, "objects": ()}
    return {**_essence(status.model_copy(update={"conditions": said})), "failures": failures, **looked, **beside}
