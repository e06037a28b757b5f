"""Resolving: opened objects are checked for where secrets may stand, and the stores are asked for what they refer to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from agent.engine import pace
from agent.engine.ports import Resolved
from agent.manifests import references, sinks
from agent.values import derive
from agent.values.errors import AgentError, LimitError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.engine.context import Run
    from agent.engine.opening import Opened
    from agent.manifests.references import Reference
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

_PATHS: Final = 32
"""Paths of stores that are read together; more than a store is asked at a time."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Opened objects whose secrets stand where they may, and the references in them."""

    opened: Opened
    wanted: Collection[Reference]


async def check(run: Run, opened: Opened, variables: Mapping[str, str]) -> Checked:
    """Leave out the objects with a secret where none may stand, before a store is asked for anything. `variables` as for sinks."""
    wanted: dict[Reference, None] = dict.fromkeys(references.find(opened.asked.inputs) if opened.asked else ())
    failed: dict[ObjectId, AgentError] = dict(opened.failed)
    for number, (key, tree) in enumerate(opened.objects.items(), 1):
        await pace.let_others(run, number)
        try:
            wanted.update(
                await pace.beside(run, tree, lambda key=key, tree=tree: _named(run, key, tree, opened, variables))
            )
        except AgentError as error:
            failed[key] = error.with_facts(object=key)
    objects = {key: tree for key, tree in opened.objects.items() if key not in failed}
    return Checked(replace(opened, objects=objects, failed=failed), tuple(wanted))


def _named(
    run: Run, key: ObjectId, tree: Object, opened: Opened, variables: Mapping[str, str]
) -> dict[Reference, None]:
    """What an opened object names of stores. Raises SinkError, ReferenceSyntaxError."""
    sinks.check(key, tree, run.grants.sinks, variables)
    pending = opened.pending.get(key)
    return dict.fromkeys([*references.find(tree), *(references.find(pending.inputs) if pending else ())])


async def ask(run: Run, wanted: Collection[Reference]) -> Mapping[Reference, Resolved | AgentError]:
    """What the stores have, some paths at a time: who writes to a store says how much each of its values is."""
    by_path: dict[tuple[str, str, int | None], list[Reference]] = {}
    for reference in wanted:
        by_path.setdefault((reference.store, reference.path, reference.version), []).append(reference)
    paths = list(by_path.values())
    answers: dict[Reference, Resolved | AgentError] = {}
    left = run.limits.manifest_bytes
    for at in range(0, len(paths), _PATHS):
        some = [reference for path in paths[at : at + _PATHS] for reference in path]
        if left <= 0:
            answers.update({reference: _too_much(run) for reference in some})
            continue
        found = await run.ports.stores.resolve(run.application_id, some)
        left -= sum(derive.size(answer.secret) for answer in found.values() if isinstance(answer, Resolved))
        answers.update(found)
    return answers


def _too_much(run: Run) -> LimitError:
    return LimitError(
        "the Application's values together are larger than the agent accepts",
        hint="use fewer or shorter values; limits.manifestBytes in the operator's file is the limit",
        limit=run.limits.manifest_bytes,
    )
