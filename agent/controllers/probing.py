"""Rotation: which recorded objects use a value that has another version in its store by now."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from agent.engine.record import absent_at
from agent.manifests import references
from agent.values.errors import AgentError, StoreNotFoundError

if TYPE_CHECKING:
    from agent.engine.ports import StorePort
    from agent.engine.record import ApplicationRecord
    from agent.values.ids import ApplicationId, ObjectId


async def rotated(
    stores: StorePort, application: ApplicationId, record: ApplicationRecord
) -> tuple[frozenset[ObjectId], tuple[AgentError, ...]]:
    """The objects to refresh, and what could not be asked.

    An engine that keeps no versions (KV v1) is always read again; what then finishes to the same object costs no request. A value that
    is gone or denied refreshes its objects too: they are held, and say why. An outage refreshes nothing. An optional value that was missing
    refreshes its objects once its path has another version.
    """
    users: defaultdict[str, set[ObjectId]] = defaultdict(set)
    oldest: dict[str, int] = {}
    for key, item in record.objects.items():
        if item.ended:  # it takes no value any more
            continue
        for text, version in item.stores.items():
            users[text].add(key)
            oldest[text] = min(version, oldest.get(text, version))
    if not users:
        return frozenset(), ()
    parsed = {references.parse(text): text for text in users}
    answers = await stores.probe(application, list(parsed))
    changed: set[ObjectId] = set()
    errors: list[AgentError] = []
    for reference, answer in answers.items():
        text = parsed[reference]
        if isinstance(answer, StoreNotFoundError) and oldest[text] == absent_at(0):
            continue
        if isinstance(answer, AgentError):
            errors.append(answer)
            changed |= frozenset() if answer.transient else users[text]
        elif answer == 0 or oldest[text] not in {answer, absent_at(answer)}:
            changed |= users[text]
    return frozenset(changed), tuple(errors)
