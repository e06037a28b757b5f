"""Additions of people that stay, and why: they are in the record, and reported as long as they stand there.

All other additions are drift, and removed. When the manifest of an object changes, none of them stays.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, Final

from agent.api import names
from agent.engine import judge, prune
from agent.manifests import ownership, people
from agent.manifests.lookup import Lookup
from agent.values.errors import AdditionsError, AgentError, FightError
from agent.values.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from agent.desired.compiler import DesiredState
    from agent.engine.changes import ChangeSet
    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.engine.record import ObjectRecord
    from agent.manifests.layers import Desired
    from agent.manifests.people import Addition
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

BEFORE: Final = "before"
"""It stood there when the agent was upgraded from a version that removed no additions, or took over from an earlier Application."""
FIGHT: Final = "fight"
"""It came back after each removal."""
UNFORCED: Final = "unforced"
"""The Application takes over no field of another manager."""
_PENDING: Final = "pending"
"""It is to be removed, and this run does not."""
_FIELDS = 5


async def note(
    run: Run,
    objects: Mapping[ObjectId, Desired],
    live: Mapping[ObjectId, LiveFact],
    observed: Collection[tuple[str, str]],
) -> None:
    """Record what people are left, before anything is judged by it. `observed` are the kinds whose objects are all known."""
    record = run.ledger.record
    changed: dict[ObjectId, ObjectRecord] = {}
    for key, known in record.objects.items():
        fact = live.get(key)
        if key in objects and fact is not None and (fact.additions or known.left):
            left = _left(run, known, extra(objects[key], known, fact), run.insisted.get(key, ()))
            if left != known.left:
                changed[key] = replace(known, left=left)
    # what stood when an earlier Application was lost is noted by the next run
    seen = not run.ledger.recovered and all((key.group, key.kind) in observed for key in record.objects)
    noted = record.noted or seen
    after = replace(record.with_objects(changed), noted=noted)
    if record.objects:
        await run.ledger.save(after)
    else:
        run.ledger.record = after


def extra(item: Desired, known: ObjectRecord, fact: LiveFact) -> tuple[Addition, ...]:
    """What people added to an object and its manifest does not set except what is ignored of it."""
    given, ignored = Lookup(item.tree), item.ignored.resolving(item.tree)
    return tuple(
        each
        for each in judge.counted(known, fact)
        if not people.has(given, each.at) and not ignored.leaves(each.at, each.manager)
    )


def _left(run: Run, known: ObjectRecord, found: Sequence[Addition], insisted: Collection[str]) -> dict[str, str]:
    """What of an object's additions is left, and why; what does not stand there any more is left no longer."""
    confirmed = _confirmed(run)
    left: dict[str, str] = {}
    for path in (each.path for each in found):
        why = known.left.get(path, "" if run.ledger.record.noted else BEFORE)
        if path in insisted:
            why = FIGHT
        elif not run.application.spec.sync.force:
            why = why or UNFORCED
        elif why == UNFORCED or (why == BEFORE and confirmed):
            why = ""
        if why:
            left[path] = why
    return left


def _confirmed(run: Run) -> bool:
    word = run.application.annotations.get(names.ANNOTATION_CONFIRM_ADDITIONS, "")
    return run.revision is not None and prune.confirms(word, run.revision)


def warned(run: Run, desired: DesiredState, live: Mapping[ObjectId, LiveFact], changes: ChangeSet) -> DesiredState:
    """With a warning for the additions to each object, by manager, that this run does not remove."""
    applied = {step.assembled.id for step in changes.steps} if run.application.spec.sync.mode == "apply" else ()
    warnings = tuple(
        Problem(error, key)
        for key, item in desired.objects.items()
        if (fact := live.get(key)) is not None
        and (known := run.ledger.record.objects.get(key)) is not None
        and known.owned_digest
        and (found := extra(item, known, fact))
        and not ownership.is_reconcile_disabled(item.tree)
        for error in _warnings(key, known, found, taken=key in applied)
    )
    return replace(desired, warnings=(*desired.warnings, *warnings)) if warnings else desired


def _warnings(key: ObjectId, known: ObjectRecord, found: Sequence[Addition], *, taken: bool) -> Iterator[AgentError]:
    def why(each: Addition) -> tuple[str, str]:
        reason = known.left.get(each.path) or known.left.get(people.ALL) or ("" if taken else _PENDING)
        return reason, each.manager

    for (reason, manager), each in groupby(sorted(found, key=why), why):
        if reason:
            fields = ", ".join(islice((addition.path for addition in each), _FIELDS))
            yield _error(reason).with_facts(object=key, field=fields, manager=manager)


def _error(why: str) -> AgentError:
    if why == FIGHT:
        return FightError(
            "left in place: it was added again after each removal",
            hint="commit it to Git, or stop what adds it; the agent removes it again when the object's manifest changes",
        )
    if why == BEFORE:
        return AdditionsError(
            "left in place: it was added by hand before the agent removed such fields",
            hint="to remove it, run agent sync NAME --confirm-additions COMMIT or change the object's manifest",
        )
    if why == UNFORCED:
        return AdditionsError(
            "left in place: it was added by hand, and spec.sync.force is false",
            hint="commit it to Git, or remove it by hand",
        )
    return AdditionsError(
        "added by hand, and not in Git",
        hint="commit it to Git, or annotate the object signet-gitops.dev/additions: keep",
    )


def removed(tree: Object, known: ObjectRecord, fact: LiveFact) -> tuple[str, ...]:
    """The paths of additions that an apply of `tree` removes."""
    given = Lookup(tree)
    return tuple(each.path for each in judge.fresh(known, fact) if not people.has(given, each.at))


def left_by(known: ObjectRecord | None, *, changed: bool, seen: bool, recovered: bool = False) -> Mapping[str, str]:
    """What an apply leaves to people: nothing where the object is new or its manifest `changed`, all where nothing is known of it.

    `seen`: what people had added to it is noted. All stays too where the object is `recovered`.
    """
    if recovered:
        return {people.ALL: BEFORE}
    if known is None or not known.uid or changed:
        return {}
    return known.left if seen else {people.ALL: BEFORE}
