"""A run's entries for the audit trail: intent before, outcome after; secrets as labels and fingerprints."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Literal

from agent.engine.causes import Cause
from agent.engine.ports import AuditEntry
from agent.values.fingerprint import shown
from agent.values.text import MOST, excerpts
from agent.values.tree import secrets, show_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.engine.assembling import Assembled
    from agent.engine.changes import Step
    from agent.engine.context import Run
    from agent.engine.results import Result
    from agent.values.errors import Fact


def of_step(run: Run, step: Step, phase: Literal["intent", "outcome"], result: Result | None = None) -> AuditEntry:
    """About applying one object."""
    assembled = step.assembled
    return AuditEntry(
        phase=phase,
        run=run.id,
        cause=step.why.cause,
        application=run.application_id,
        revision=run.revision,
        action=result.action if result else step.action,
        object=assembled.id,
        fields=(result.fields if result else ()) or step.fields,
        fingerprints=_fingerprints(run, assembled),
        secrets=excerpts(sorted({label for _, secret in secrets(assembled.tree) for label in secret.labels})),
        result=result.text if result else "",
        facts=_facts(step, result),
        files=excerpts(assembled.record.files),
        rendered_from=assembled.rendered_from,
    )


def _fingerprints(run: Run, assembled: Assembled) -> Mapping[str, str]:
    """Of the first secrets of an object, and how many more it has."""
    uid, found = run.application_id.uid, secrets(assembled.tree)
    fingerprints = {
        show_path(path): shown(run.fingerprints.leaves.leaf(uid, assembled.id.key, path, secret))
        for path, secret in islice(found, MOST)
    }
    more = sum(1 for _ in found)
    return {**fingerprints, "…": f"and {more} more"} if more else fingerprints


def _facts(step: Step, result: Result | None) -> Mapping[str, Fact] | None:
    """What names the cause, and what became of it."""
    facts: dict[str, Fact] = {**step.why.facts}
    if result is not None and result.error is not None:
        facts |= result.error.facts
    elif result is not None and result.writer is not None:
        writer = result.writer
        facts |= {"manager": writer.manager, "operation": writer.operation, "written": writer.time}
    return facts or None


def of_prune(run: Run, result: Result, phase: Literal["intent", "outcome", "event"]) -> AuditEntry:
    """About deleting one object, or forgetting one that went otherwise; with what confirmed a deletion that waited."""
    guard, known = run.ledger.record.guard, run.ledger.record.objects.get(result.id)
    return AuditEntry(
        phase=phase,
        run=run.id,
        cause=result.why.cause if result.why else Cause.COMMIT,
        application=run.application_id,
        revision=run.revision,
        action=result.action,
        object=result.id,
        result=result.text if phase != "intent" else "",
        facts={"confirmed": guard.heard} if result.id in guard.agreed else None,
        files=excerpts(known.files) if known else (),
    )
