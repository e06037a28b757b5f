"""Whether a commit may be taken: signed as the operator asks. What was accepted once stays so, whatever becomes of its signer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.api.signatures import rule_for
from agent.engine.causes import Cause
from agent.engine.ports import AuditEntry
from agent.engine.record import Trust
from agent.engine.repositories import Demand
from agent.values.errors import SignatureError

if TYPE_CHECKING:
    from agent.api.registries import ArtifactRule
    from agent.api.signatures import SignatureRule
    from agent.engine.context import Run
    from agent.engine.credentials import GitCredential
    from agent.values.ids import Revision


def accepted(run: Run, commit: str) -> bool:
    """Whether a commit needs no signature, or was accepted before. Raises ConfigError for a URL that no rule can be found for."""
    return _rule(run) is None or _trust(run).accepted == commit


async def check(run: Run, credential: GitCredential | None, revision: Revision) -> None:
    """Raises SignatureError, ConfigError, and what else keeps signatures from being verified. The record says when a refused commit was first seen."""
    rule, source = _rule(run), run.application.spec.source
    if rule is None:
        return
    known = _trust(run)
    if known.accepted == revision.commit:
        return
    first = known.commit != revision.commit
    if first:
        known = replace(known, commit=revision.commit, seen=int(run.ports.clock.now()))
    try:
        signer = await run.ports.git.verify(
            source, credential, revision.commit, Demand(rule, known.accepted, known.seen)
        )
    except SignatureError as error:
        if first:
            await _note(run, revision, known, "commit-refused", reason=error.reason)
        raise
    await _note(run, revision, Trust(known.repository, revision.commit), "commit-accepted", signer=signer)


def _rule(run: Run) -> SignatureRule | ArtifactRule | None:
    source = run.application.spec.source
    if source.oci is not None:
        return next((rule for rule in run.grants.artifact_signatures if rule.serves(source.address)), None)
    return rule_for(run.grants.signatures, source.address)


def _trust(run: Run) -> Trust:
    """What the record knows of the Application's repository."""
    repository = run.fingerprints.records.text("signatures", run.application.spec.source.address)
    known = run.ledger.record.trust
    return known if known is not None and known.repository == repository else Trust(repository)


async def _note(run: Run, revision: Revision, trust: Trust, action: str, **facts: str) -> None:
    entry = AuditEntry("event", run.id, Cause.COMMIT, run.application_id, revision, action, facts=facts)
    await run.ports.audit.write([entry])
    await run.ledger.save(replace(run.ledger.record, trust=trust))
