"""Rotation: which recorded objects use a value that has another version in its store by now."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from agent.controllers.reporting import log_errors
from agent.engine.causes import Trigger
from agent.engine.ports import Resolved
from agent.engine.record import absent_at
from agent.manifests import references
from agent.values.errors import AgentError, StoreNotFoundError
from agent.values.ids import ObjectId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.controllers.managed import ManagedApplication
    from agent.controllers.settings import Settings
    from agent.engine.ports import Ports, StorePort
    from agent.engine.record import ApplicationRecord
    from agent.manifests.references import Reference
    from agent.values.ids import ApplicationId


async def look(ports: Ports, settings: Settings, managed: ManagedApplication) -> frozenset[Trigger]:
    """What starts a run, since a store has another version of a value, or a variable changed; what is to be refreshed is noted in `managed`.

    `ports` are those of the Application's namespace. As long as a store has not answered, nothing is asked a second time.
    """
    if managed.application is None or not managed.held or managed.probing:
        return frozenset()
    managed.probing = True
    try:
        objects = await found(ports.stores, managed.id, managed.record)
        variables = await outdated(ports, settings, managed)
    finally:
        managed.probing = False
    managed.rotated |= objects
    return frozenset([*[Trigger.SECRET] * bool(objects), *[Trigger.VARIABLES] * variables])


async def found(stores: StorePort, application: ApplicationId, record: ApplicationRecord) -> frozenset[ObjectId]:
    """The objects to refresh; what could not be asked is logged."""
    try:
        objects, errors = await rotated(stores, application, record)
    except AgentError as error:
        objects, errors = frozenset[ObjectId](), (error,)
    log_errors("the version of a secret could not be checked", errors, application)
    return objects


async def rotated(
    stores: StorePort, application: ApplicationId, record: ApplicationRecord
) -> tuple[frozenset[ObjectId], tuple[AgentError, ...]]:
    """The objects to refresh, each by the version that its own record has, and what could not be asked.

    An engine that keeps no versions (KV v1) is always read again; what then finishes to the same object costs no request. A value that
    is gone or denied refreshes its objects too: they are held, and say why. An outage refreshes nothing. An optional value that was missing
    refreshes its objects once its path has another version; one of a fixed version, which no probe shows, is read.
    """
    users: defaultdict[str, dict[ObjectId, int]] = defaultdict(dict)
    for key, item in record.objects.items():
        if item.ended:  # it takes no value any more
            continue
        for text, version in item.stores.items():
            users[text][key] = version
    if not users:
        return frozenset(), ()
    parsed = {references.parse(text): of for text, of in users.items()}
    answers = await stores.probe(application, list(parsed))
    fixed = [each for each, of in parsed.items() if each.version is not None and min(of.values()) < 0]
    values: Mapping[Reference, Resolved | AgentError] = await stores.resolve(application, fixed) if fixed else {}
    changed: set[ObjectId] = set()
    errors: dict[AgentError, None] = {}
    for reference, answer in answers.items():
        for key, version in parsed[reference].items():
            found = values.get(reference, answer) if version < 0 else answer
            if version < 0 and isinstance(found, StoreNotFoundError):
                continue
            if isinstance(found, AgentError):
                errors[found] = None
            if _is_other(version, found):
                changed.add(key)
    return frozenset(changed), tuple(errors)


async def outdated(ports: Ports, settings: Settings, managed: ManagedApplication) -> bool:
    """Whether Secrets or ConfigMaps that variables are from have other values than were compiled, or tried in vain.

    `ports` are those of the Application's namespace, whose turns the requests wait for. Those that cannot be read are left to the next run that asks Git, which says why.
    """
    from agent.engine import live_variables  # noqa: PLC0415  # loaded by the run that compiled

    application, state = managed.application, managed.state
    if application is None or state.compiled is None or not application.spec.reads:
        return False
    reading = live_variables.reader_of(ports.target, application, settings.observer, ports.tasks)
    try:
        found = await live_variables.read_by(reading, application, settings.fingerprints.desired)
    except AgentError:
        return False
    # what follows is the chart's, which the next run that asks Git asks for
    known = {
        text.partition("|")[0] for text in (state.compiled.variables, state.tried.variables if state.tried else "")
    }
    return application.generation == state.compiled.generation and found.version not in known


def _is_other(version: int, found: Resolved | int | AgentError) -> bool:
    """Whether what was recorded as of this version is to be read again."""
    if isinstance(found, AgentError):
        return not found.transient
    return isinstance(found, Resolved) or found == 0 or version not in {found, absent_at(found)}
