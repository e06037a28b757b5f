"""What only a new object can change: judged by dry run, as the tenant, before anything is deleted for it.

A field that an apply is refused for is immutable where a new object of the same name would be valid with it. What a dry run cannot show,
because of a quota, a webhook or a missing right, is not known, and then nothing is deleted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.engine.guard import confirmation_to_replace
from agent.engine.prune import CONFIRMED_ONLY
from agent.manifests import ownership
from agent.manifests.builtin import CLEAR_FIELDS
from agent.values.errors import AgentError, ImmutableFieldError, ObjectInvalidError
from agent.values.ids import short
from agent.values.tree import get, get_object

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from agent.engine.ports import Identity, TargetPort
    from agent.manifests.kinds import Resource
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

_ALLOCATIONS = frozenset({"clusterIP", "clusterIPs", "healthCheckNodePort", "nodePort"})
_PLACE = re.compile(r"\[[^\]]*\]")
"""Of an item or key: the same field has another place in a list that holds only what Git says."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An apply that was refused. `desired` is the whole object, with what is ignored of one that stands, `identity` who it was sent as."""

    target: TargetPort
    resource: Resource
    key: ObjectId
    desired: Object
    identity: Identity | None = None


async def judge(attempt: Attempt, refusal: ObjectInvalidError) -> AgentError:
    """The error to report: ImmutableFieldError where a new object could have the fields, with `invalid` where it could not for others."""
    refused = refusal.fields
    if not refused:
        return refusal
    invalid = await _refused_to(_create(attempt, attempt.desired))
    if isinstance(invalid, list) and _are_allocations(attempt.key, invalid):
        invalid = await _refused_to(_create_freed(attempt))
    if isinstance(invalid, AgentError):
        return _unknown(refusal, invalid)
    frozen = [field for field in refused if _plain(field) not in map(_plain, invalid)]
    if not frozen:
        return refusal
    alone = await _refused_to(_replace_content(attempt, refused))
    if isinstance(alone, AgentError):
        return _unknown(refusal, alone)
    frozen = [field for field in frozen if _plain(field) in map(_plain, alone)]
    if not frozen:
        beside = "valid in Git, but not together with what another field manager set on the live object: see its managedFields"
        return refusal if "managers" in refusal.facts else refusal.with_hint(beside)
    found = ImmutableFieldError("field cannot be changed in place", field=frozen[0])
    if len(frozen) > 1:
        found = found.with_facts(fields=", ".join(frozen))
    return found.with_facts(invalid=", ".join(invalid)) if invalid else found


def refuse(
    key: ObjectId, desired: Object, found: AgentError, *, uid: str, ours: bool, commit: str, confirmed: str
) -> AgentError | None:
    """Why an object with an immutable field is not replaced, with what to do about it; None where it may be.

    `uid` is the live object's, `ours`: it is proven the Application's. `commit` is the one that changes it, `confirmed` the text of the
    confirm-prune annotation.
    """
    if not isinstance(found, ImmutableFieldError):
        return found
    protected = (key.group, key.kind) in CONFIRMED_ONLY
    asked = ownership.is_replace_allowed(desired)
    confirm = confirmation_to_replace(commit, key, uid)
    if "invalid" in found.facts:
        hint = "fix the invalid fields first: a new object would be refused too"
    elif not ours:
        hint = "delete the live object yourself, or undo the change: it is not proven to belong to this Application, so it is not replaced"
    elif protected and not asked:
        hint = "undo the change, or rename the object: replacing it would lose its data"
    elif protected and confirmed != confirm:
        if commit:
            found = found.with_facts(commit=short(commit), confirm=confirm)
        hint = "undo the change, or accept the loss of its data: agent sync NAME --confirm-prune with the value after confirm"
    elif not asked:
        hint = 'annotate the object signet-gitops.dev/replace: "true" to have it deleted and created again'
    else:
        return None
    return found.with_hint(hint)


async def _refused_to(attempt: Awaitable[object]) -> list[str] | AgentError:
    """The fields that a dry run is refused for, none where it passes, and the error where that is not known."""
    try:
        await attempt
    except ObjectInvalidError as error:
        return error.fields or error
    except AgentError as error:
        return error
    return []


async def _create(attempt: Attempt, desired: Object) -> None:
    await attempt.target.try_create(attempt.resource, desired, identity=attempt.identity)


def _are_allocations(key: ObjectId, fields: list[str]) -> bool:
    """Whether a new Service is refused addresses and ports alone, which the one that stands may have."""
    service = (key.group, key.kind) == ("", "Service")
    return service and bool(fields) and all(_plain(field).rpartition(".")[2] in _ALLOCATIONS for field in fields)


async def _create_freed(attempt: Attempt) -> None:
    """Try to create a Service without what is given back as the one that stands is deleted."""
    live = await attempt.target.get(
        attempt.resource, attempt.key.namespace, attempt.key.name, identity=attempt.identity
    )
    spec, there = get_object(attempt.desired, "spec"), get_object(live or {}, "spec")
    held = {name for name in _ALLOCATIONS if name in spec and spec[name] == there.get(name)}
    ports, taken = spec.get("ports"), there.get("ports")
    node_ports = [get(each, "nodePort") for each in (taken if isinstance(taken, list) else [])]
    freed: Object = {name: value for name, value in spec.items() if name not in held}
    freed["ports"] = [
        {name: value for name, value in each.items() if name != "nodePort" or value not in node_ports}
        for each in (ports if isinstance(ports, list) else [])
        if isinstance(each, dict)
    ]
    await _create(attempt, {**attempt.desired, "spec": freed})


async def _replace_content(attempt: Attempt, refused: list[str]) -> Object:
    """A dry run of the object with nothing in it but what Git says: what others have put into it is left out of the question.

    A field that is refused and that Git has no more is what the apply removes.
    """
    content = {name: value for name, value in attempt.desired.items() if name not in CLEAR_FIELDS}
    patch: list[Object] = [{"op": "add", "path": f"/{name}", "value": value} for name, value in content.items()]
    dropped = dict.fromkeys(_plain(field).partition(".")[0] for field in refused)
    gone: list[Object] = [
        {"op": "remove", "path": f"/{name}"} for name in dropped if name not in {*content, *CLEAR_FIELDS}
    ]
    return await attempt.target.json_patch(
        attempt.resource,
        attempt.key.namespace,
        attempt.key.name,
        [*patch, *gone],
        identity=attempt.identity,
        dry_run=True,
    )


def _unknown(refusal: ObjectInvalidError, error: AgentError) -> ObjectInvalidError:
    facts = {name: fact for name, fact in error.facts.items() if name in {"webhook", "policy", "code", "verb"}}
    return (
        ObjectInvalidError(
            "not replaced: the field is refused, and it is unknown whether a new object could have it",
            hint="check why the dry run failed; the object stays as it is",
        )
        .with_facts(**refusal.facts)
        .with_facts(because=f"{error.reason}: {error.message}", **facts)
    )


def _plain(field: str) -> str:
    return _PLACE.sub("", field)
