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
    from collections.abc import Sequence

    from agent.api.registries import ArtifactRule
    from agent.api.signatures import SignatureRule
    from agent.api.sources import Source
    from agent.engine.context import Grants, Run
    from agent.engine.several import Origin
    from agent.values.ids import Revision


def accepted(run: Run, given: Sequence[Origin], named: Revision) -> bool:
    """Whether the commits need no signature, or were accepted before. Raises ConfigError for a URL that no rule can be found for."""
    return all(
        rule(run.grants, each.source) is None or _trust(run, each).accepted == each.of(named).commit for each in given
    )


async def check(run: Run, given: Sequence[Origin], revision: Revision) -> None:
    """Raises SignatureError, ConfigError, and what else keeps signatures from being verified. The record says when a refused commit was first seen."""
    for each in given:
        with each.named():
            await _check(run, each, revision)


async def _check(run: Run, origin: Origin, revision: Revision) -> None:
    asked, commit = rule(run.grants, origin.source), origin.of(revision).commit
    if asked is None:
        return
    known = _trust(run, origin)
    if known.accepted == commit:
        return
    first = known.commit != commit
    if first:
        known = replace(known, commit=commit, seen=int(run.ports.clock.now()))
    try:
        signer = await run.ports.git.verify(
            origin.source, origin.credential, commit, Demand(asked, known.accepted, known.seen)
        )
    except SignatureError as error:
        if first:
            await _note(run, origin, revision, known, "commit-refused", reason=error.reason)
        raise
    await _note(run, origin, revision, Trust(known.repository, commit), "commit-accepted", signer=signer)


def rule(grants: Grants, source: Source) -> SignatureRule | ArtifactRule | None:
    """Whose signatures a source needs, if any. Raises ConfigError for a URL that no rule can be found for."""
    if source.oci is not None:
        return next((each for each in grants.artifact_signatures if each.serves(source.address)), None)
    return rule_for(grants.signatures, source.address)


def _repository(run: Run, origin: Origin) -> str:
    name = [origin.name] if origin.name else []
    return run.fingerprints.records.text("signatures", origin.source.address, *name)


def _trust(run: Run, origin: Origin) -> Trust:
    """What the record knows of a source."""
    repository, record = _repository(run, origin), run.ledger.record
    known = (*record.trusts, *([record.trust] if record.trust is not None else ()))
    return next((each for each in known if each.repository == repository), Trust(repository))


async def _note(  # whose, and what is known of it
    run: Run, origin: Origin, revision: Revision, trust: Trust, action: str, **facts: str
) -> None:
    if origin.name:
        facts["source"] = origin.name
    entry = AuditEntry("event", run.id, Cause.COMMIT, run.application_id, revision, action, facts=facts)
    await run.ports.audit.write([entry])
    record = run.ledger.record
    if not origin.name:
        await run.ledger.save(replace(record, trust=trust))
        return
    sources = run.application.spec.all_sources.items()
    others = {_repository(run, replace(origin, name=name, source=source)) for name, source in sources} - {
        trust.repository
    }
    kept = tuple(each for each in record.trusts if each.repository in others)
    await run.ledger.save(replace(record, trusts=(*kept, trust)))
