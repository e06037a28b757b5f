"""Which objects need doing, and why: desired against record against live, without any plaintext."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.api import names
from agent.engine.causes import Cause
from agent.manifests import contents, ignoring, ownership, people
from agent.values.ids import ObjectId

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from agent.engine.live import LiveFact
    from agent.engine.record import ApplicationRecord, ObjectRecord
    from agent.manifests.layers import Desired
    from agent.manifests.people import Addition
    from agent.values.fingerprint import Fingerprinter
    from agent.values.tree import Tree


def desired_digests(
    fingerprinter: Fingerprinter,
    application: str,
    objects: Mapping[ObjectId, Desired],
    *,
    hooks: Mapping[ObjectId, Desired] | None = None,
) -> dict[ObjectId, str]:
    """The digest of each desired object. That of a hook moves with any of them: it runs for the release."""
    found: dict[ObjectId, str] = {
        key: fingerprinter.tree(application, key.key, _ingredients(desired))
        for key, desired in {**objects, **(hooks or {})}.items()
    }
    if not hooks:
        return found
    release: Tree = [[key.key, found[key]] for key in sorted(found)]
    return {**found, **{key: fingerprinter.tree(application, key.key, ["hook", release]) for key in hooks}}


def _ingredients(desired: Desired) -> Tree:
    """What is applied of a sealed merge. The rules of what is ignored count, so that adding or removing one takes effect."""
    given: list[Tree] = [names.ENGINE, desired.api_version, desired.kept]
    if contents.is_marked(desired.id) and contents.may_hold_secret(desired.tree):
        given.append(contents.ANNOTATION)
    return [*given, [*desired.ignored.managers, *desired.ignored.texts]] if desired.ignored else given


def drifted(record: ObjectRecord, fact: LiveFact | None) -> bool:
    """Whether the live object is not what was last applied, or people added to it. `fact` None: it is not there.

    A record without owned fields is of an object that was left to others. What ran to its end may be gone.
    """
    if not record.owned_digest or (fact is None and record.ended):
        return False
    if fact is None:
        return True
    return not fact.terminating and (fact.owned_digest != record.owned_digest or bool(fresh(record, fact)))


def fresh(record: ObjectRecord, fact: LiveFact) -> tuple[Addition, ...]:
    """What people added to an object and are not left."""
    return tuple(each for each in counted(record, fact) if not people.is_left(each.path, record.left))


def counted(record: ObjectRecord, fact: LiveFact) -> Iterator[Addition]:
    """What people added to an object except what is ignored of it."""
    ignored = ignoring.recorded(record.pointers, record.managers)
    return (each for each in additions(fact) if not ignored.leaves(each.at, each.manager))


def additions(fact: LiveFact) -> tuple[Addition, ...]:
    """What people added to an object that does not ask to keep it."""
    return () if fact.kept else fact.additions


def differs(record: ObjectRecord, fact: LiveFact | None) -> bool:
    """Whether the live object is not what Git says: it drifted, or people are left what they added."""
    return drifted(record, fact) or (bool(record.owned_digest) and fact is not None and any(counted(record, fact)))


def standing(
    objects: Mapping[ObjectId, Desired], causes: Mapping[ObjectId, Cause], live: Mapping[ObjectId, LiveFact]
) -> frozenset[ObjectId]:
    """Those of the objects to do that are there and stay: of these, nothing is needed that is ignored."""
    return frozenset(
        key
        for key, cause in causes.items()
        if cause not in {Cause.NEW, Cause.RERUN, Cause.HOOK}
        and (fact := live.get(key)) is not None
        and not fact.terminating
        and not ownership.is_replace_allowed(objects[key].tree)
    )


def stale(
    objects: Mapping[ObjectId, Desired],
    *,
    record: ApplicationRecord,
    live: Mapping[ObjectId, LiveFact],
    digest_of: Mapping[ObjectId, str],
    rotated: Collection[ObjectId],
    observed: Collection[tuple[str, str]],
    asks: Cause = Cause.COMMIT,
) -> dict[ObjectId, Cause]:
    """The objects that an apply may be needed for, with the first reason that holds.

    `observed` are the groups and kinds that are watched: of others, nothing live is known. `asks` is why another object is asked for.
    """
    result: dict[ObjectId, Cause] = {}
    for key, desired in objects.items():
        known = record.objects.get(key)
        cause: Cause
        if known is None or not known.uid:
            cause = Cause.NEW
        elif known.desired_digest != digest_of[key]:
            cause = asks
        elif key in rotated:
            cause = Cause.SECRET
        elif (key.group, key.kind) in observed and drifted(known, live.get(key)):
            cause = Cause.EDIT if key in live else Cause.DELETION
        else:
            continue
        if ownership.is_reconcile_disabled(desired.tree):
            continue
        if ownership.is_apply_if_absent(desired.tree) and (key in live or _is_left(known)):
            continue
        if ownership.is_shared(desired.tree) and key not in live and _is_left(known):
            continue
        result[key] = cause
    return {**result, **_missing(objects, record, result)}


def _missing(
    objects: Mapping[ObjectId, Desired], record: ApplicationRecord, causes: Mapping[ObjectId, Cause]
) -> dict[ObjectId, Cause]:
    """Namespaces that were left to others, where something in them is gone or new: no watch shows whether they still stand."""
    touched = {key.namespace for key, cause in causes.items() if cause in {Cause.DELETION, Cause.NEW}}
    left = (ObjectId("", "Namespace", "", name) for name in touched)
    return {
        key: Cause.NEW
        for key in left
        if key in objects and ownership.is_shared(objects[key].tree) and _is_left(record.objects.get(key))
    }


def _is_left(known: ObjectRecord | None) -> bool:
    """Whether an object was left to others when the agent met it."""
    return known is not None and bool(known.uid) and not known.owned_digest
