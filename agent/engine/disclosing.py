"""Disclosing: variables that Application and operator make clear text are opened before they are put in, and the audit trail says which."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.desired import disclosing
from agent.desired.compiler import UnknownChangeError
from agent.engine import opening
from agent.engine.ports import AuditEntry, Resolved
from agent.engine.state import NOTHING, Disclosed
from agent.manifests import references
from agent.values.errors import AgentError
from agent.values.problems import Problem

if TYPE_CHECKING:
    from agent.desired.disclosing import Disclosure
    from agent.engine.context import Run
    from agent.engine.rendering import Inputs
    from agent.manifests.references import Reference
    from agent.values.ids import Revision
    from agent.values.secret import Secret

_SECONDS: Final = 5
"""For all that the disclosed variables of an Application are made of."""


async def disclose(run: Run, revision: Revision, given: Inputs) -> tuple[Inputs, Disclosed]:
    """The inputs with disclosed variables in the clear. Their files have been verified. Raises UnknownChangeError and AuditError."""
    if given.variables is None or not run.grants.disclosed:
        return given, NOTHING
    variables, sources = given.variables, given.given.sources
    wanted = await run.ports.tasks.in_thread(lambda: disclosing.wanted(variables, sources, run.grants.disclosed))
    if not wanted:
        return given, NOTHING
    try:
        secrets = await _opened(run, wanted, given)
        named = await run.ports.tasks.in_thread(
            lambda: {reference for each in wanted for reference in references.find(each.pending(secrets).inputs)}
        )
        values = await _resolved(run, named)
        clock = run.ports.clock.monotonic
        until = clock() + _SECONDS
        texts = await run.ports.tasks.in_thread(
            lambda: {each.name: each.text(secrets, values, clock, until) for each in wanted}
        )
    except AgentError as error:
        raise UnknownChangeError((Problem(error, file=str(error.facts.get("file", ""))),)) from None
    run = replace(run, revision=revision)
    await run.ports.audit.write(_entry(run, each) for each in wanted)
    variables = disclosing.put_in(variables, texts)
    stores = {str(reference): _fingerprint(run, reference, secret) for reference, secret in values.items()}
    return replace(given, variables=variables), Disclosed(tuple(texts), stores)


async def changed(run: Run, before: Disclosed) -> bool:
    """Whether a store has another value of a variable that was disclosed. Of one that does not answer nothing is known, and nothing done."""
    if not before.stores:
        return False
    known = {references.parse(text): fingerprint for text, fingerprint in before.stores.items()}
    answers = await run.ports.stores.resolve(run.application_id, list(known))
    return any(
        _fingerprint(run, reference, answer.secret) != known[reference]
        for reference, answer in answers.items()
        if isinstance(answer, Resolved)
    )


async def _opened(run: Run, wanted: tuple[Disclosure, ...], given: Inputs) -> dict[str, Secret]:
    """Their sealed leaves alone, by id."""
    ids = {leaf.id for each in wanted for leaf in each.sealed}
    secrets = {name: secret for name, secret in given.live.values.items() if name in ids}
    for file in given.given.sealed.values():
        if not ids.isdisjoint(file.ids):
            found = await opening.unseal(run, file)
            secrets.update((name, secret) for name, secret in found.items() if name in ids)
    return secrets


async def _resolved(run: Run, wanted: set[Reference]) -> dict[Reference, Secret]:
    values: dict[Reference, Secret] = {}
    if not wanted:
        return values
    answers = await run.ports.stores.resolve(run.application_id, sorted(wanted, key=str))
    for reference, answer in answers.items():
        if isinstance(answer, AgentError):
            raise answer
        values[reference] = answer.secret
    return values


def _fingerprint(run: Run, reference: Reference, secret: Secret) -> str:
    return run.fingerprints.desired.leaf(run.application_id.uid, "disclosed", (str(reference),), secret)


def _entry(run: Run, each: Disclosure) -> AuditEntry:
    return AuditEntry(
        "event",
        run.id,
        run.changes,
        run.application_id,
        run.revision,
        "disclose",
        secrets=each.labels,
        facts={"variable": each.name},
    )
