"""What the agent's next run would do with a work tree: the engine's own plan, made of what a user may read.

A user has no key of the installation. So a difference is what a server-side dry run answers, ownership is believed where it cannot be
proven, and what a commit changed is seen in the files of the commit that was applied last. What the user may not read is named in
`unknown`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.api import names
from agent.engine import adopting, endings, hooks, plan, prune, releases, replacing, rollouts
from agent.engine.assembling import Assembled
from agent.engine.causes import Cause
from agent.engine.record import ObjectRecord
from agent.manifests import contents, ownership
from agent.manifests.endings import content, ends
from agent.values.dataclass import dataclass
from agent.values.errors import ImmutableFieldError
from agent.values.secret import Sealed
from agent.values.tree import get_object, get_text, map_leaves, secrets

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agent.cli.applications.applied import Applied
    from agent.cli.applications.comparison import Difference
    from agent.desired.compiler import DesiredState
    from agent.engine.changes import ChangeSet
    from agent.engine.ports import Revision
    from agent.values.errors import AgentError
    from agent.values.ids import ObjectId
    from agent.values.tree import Object, Tree

_NOT_FINISHED = "preview"


@dataclass(frozen=True, slots=True)
class Preview:
    """`guessed` are the objects of which it is not known whether a commit or a live edit is the cause of their change.

    `overlooked` carry the Application's label and are of kinds that neither it nor its record has: the agent watches those only where
    another Application has them. `replaced` cannot be changed in place, and would be deleted and created again. `finished` ran to their end
    and are gone: what ran is recorded as a keyed digest, which a user cannot compare with the tree.
    """

    changes: ChangeSet
    guessed: frozenset[ObjectId]
    overlooked: frozenset[ObjectId]
    replaced: frozenset[ObjectId]
    finished: frozenset[ObjectId]


def compute(
    state: DesiredState, before: DesiredState | None, found: Sequence[Difference], applied: Applied, *, prunes: bool
) -> Preview:
    """What the next run would do. `found` are the objects as far as they could be compared, `before` is what was applied last."""
    by_id = {each.id: each for each in found}
    causes = {each.id: cause for each in found if (cause := _cause(each, state, before, applied)) is not None}
    # A Secret that is healed holds what it held.
    rolling = [key for key, cause in causes.items() if cause not in {Cause.EDIT, Cause.DELETION} or before is None]
    rolled = [
        key
        for key in rollouts.of(state.objects, rolling)
        if key not in causes and key in by_id and (not applied.known or key in applied.record.objects)
    ]
    causes.update(dict.fromkeys(rolled, Cause.ROLL))
    guessed = frozenset(key for key, cause in causes.items() if before is None and applied.known and cause != Cause.NEW)
    standing = {key: each.live for key, each in by_id.items() if each.live is not None and key in causes}
    refusals = {key: _refusal(by_id[key], cause, applied, state.revision) for key, cause in causes.items()}
    kinds = {(key.group, key.kind) for key in (*state.objects, *applied.record.objects)}
    live = {key: fact for key, fact in applied.live.items() if (key.group, key.kind) in kinds}
    basis = plan.Basis(
        applied.record,
        applied.uid,
        prune.Policy(prunes and bool(applied.uid), _confirmation(applied)),
        live=live,
        observed=applied.kinds,
        before=before,
        met={key: live for key, live in standing.items() if causes[key] == Cause.NEW},
        refusals={
            **{key: error for key, error in refusals.items() if error is not None},
            **{key: endings.lost(key) for key in causes if _is_lost(key, applied)},
        },
        asks=_asks(state.revision, applied),
        lost=applied.recorded and not applied.record.objects and bool(applied.live),
        hooked=_hooked(state, found, applied, causes),
    )
    finished = {key: Assembled(key, by_id[key].tree, _record(key, state, before, applied)) for key in causes}
    return Preview(
        plan.compute(state, finished, causes, basis),
        guessed,
        overlooked=frozenset(applied.live.keys() - live.keys()),
        replaced=frozenset(key for key in causes if refusals[key] is None and _is_immutable(by_id[key])),
        finished=frozenset(each.id for each in found if _has_ended(each, applied.record.objects.get(each.id))),
    )


def _hooked(
    state: DesiredState, found: Sequence[Difference], applied: Applied, causes: Mapping[ObjectId, Cause]
) -> hooks.Hooked:
    """The hooks that a change of the release runs, as far as a user may know: for what one ran is recorded under a key."""
    free = {key: item for key, item in state.hooks.items() if key not in state.held}
    waits = any(key in applied.record.ran and applied.record.ran[key].waits for key in free)
    if not free or not (waits or any(cause not in {Cause.EDIT, Cause.DELETION} for cause in causes.values())):
        return hooks.NONE
    met = [each.id for each in found if each.live is not None]
    installing = not releases.stands(applied.live, applied.uid, but=state.hooks, met=met)
    if not installing and applied.record.newest is None:
        return hooks.NONE  # a release that is taken over runs none
    newest = applied.record.newest
    same = newest is not None and newest.commit == state.revision.commit
    return hooks.expected(free, installing=installing, ended=_ended(applied, free) if same else {})


def _ended(applied: Applied, asked: Collection[ObjectId]) -> dict[ObjectId, str]:
    """The hooks that did not complete when they ran last, and how they ended."""
    last = {key: [*runs.endings.values()][-1] for key, runs in applied.record.ran.items() if key in asked}
    return {key: how for key, how in last.items() if how in {"Failed", endings.UNKNOWN}}


def _asks(revision: Revision, applied: Applied) -> Cause:
    """Why other objects are asked for than before."""
    before, application = applied.record.revision, applied.application
    same = before is not None and before.commit == revision.commit
    return Cause.SPEC if same and application and application.generation != applied.record.generation else Cause.COMMIT


def _is_lost(key: ObjectId, applied: Applied) -> bool:
    known = applied.record.objects.get(key)
    return known is not None and known.ended == endings.LOST and key not in applied.live


def _record(key: ObjectId, state: DesiredState, before: DesiredState | None, applied: Applied) -> ObjectRecord:
    """Of an object that is sent, whatever was applied last: with the same digest where the commit leaves it as it was."""
    known = applied.record.objects.get(key)
    same = known is not None and before is not None and _sealed_merge(before, key) == _sealed_merge(state, key)
    digest = known.desired_digest if known is not None and same else _NOT_FINISHED
    return ObjectRecord(state.objects[key].api_version, desired_digest=digest, applied=_NOT_FINISHED)


def _has_ended(each: Difference, known: ObjectRecord | None) -> bool:
    """Whether it ran to its end, or may have, and is gone."""
    return each.live is None and each.action != "left" and known is not None and known.ended not in {"", endings.LOST}


def _is_same_run(each: Difference, state: DesiredState, before: DesiredState | None) -> bool:
    """Whether what runs to its end stands, and differs by values alone that only a new object could have: it is left."""
    now, then = state.objects[each.id], before.objects.get(each.id) if before is not None else None
    same = then is not None and content(then.tree) == content(now.tree)
    return same and _is_immutable(each) and ends(now.tree)


def _is_immutable(each: Difference) -> bool:
    return isinstance(each.error, ImmutableFieldError)


def _cause(each: Difference, state: DesiredState, before: DesiredState | None, applied: Applied) -> Cause | None:
    """Why the agent would apply an object; None where it would not. As `judge.stale`, by what a user can see."""
    known = applied.record.objects.get(each.id)
    if _is_left(each, known, applied):
        return None
    if _has_ended(each, known) or _is_same_run(each, state, before):
        return None
    if (known is None or not known.uid) and (applied.known or each.live is None):
        return Cause.NEW
    changed = each.action in {"create", "change", "refused"} or (applied.known and each.owned)
    if not changed and before is not None and _clear(before, each.id) != _clear(state, each.id):
        return Cause.COMMIT  # the cluster has it already, and the agent does not know
    if not changed and (not applied.known or _is_stamped(each, state, applied)):
        return None
    return _why(each, state, before, known.stores if known is not None else {})


def _why(each: Difference, state: DesiredState, before: DesiredState | None, stores: Mapping[str, int]) -> Cause:
    """Why an object that was applied before is not as it should be. `stores` are the versions of values that it was applied with."""
    changed = Cause.DELETION if each.live is None else Cause.EDIT
    if before is None:
        return changed if each.live is None else Cause.COMMIT
    if _sealed_merge(before, each.id) != _sealed_merge(state, each.id):
        return Cause.COMMIT
    rotated = any(stores.get(text, version) != version for text, version in each.versions.items())
    return Cause.SECRET if rotated else changed


def _is_left(each: Difference, known: ObjectRecord | None, applied: Applied) -> bool:
    """Whether an object is left alone: it asks for that, is not known, or was made once already and is others' since.

    What was left to others when the agent met it has no owned fields in its record.
    """
    if each.action == "unknown" or ownership.is_reconcile_disabled(each.tree):
        return True
    if ownership.is_shared(each.tree):
        return each.action == "left" and known is not None and bool(known.uid)
    if not ownership.is_apply_if_absent(each.tree):
        return False
    if known is None or not known.uid:
        return _is_ours(each.live, applied)
    return each.live is not None or (applied.recorded and not known.owned_digest)


def _sealed_merge(state: DesiredState, key: ObjectId) -> tuple[str, Object] | None:
    item = state.objects.get(key)
    return (item.api_version, item.tree) if item is not None else None


def _clear(state: DesiredState, key: ObjectId) -> Tree:
    """What of an object is not encrypted, and not ignored where it stands: a value that was encrypted once more is the same."""
    item = state.objects.get(key)
    if item is None:
        return None
    return map_leaves(item.ignored.without(item.tree), lambda _, leaf: "" if isinstance(leaf, Sealed) else leaf)


def _is_ours(live: Object | None, applied: Applied) -> bool:
    """Whether a live object says that it is the Application's."""
    return live is not None and bool(applied.uid) and ownership.claimed(live) == applied.uid


def _is_stamped(each: Difference, state: DesiredState, applied: Applied) -> bool:
    """Whether a live object carries what the agent writes on it: a run writes that again."""
    live = each.live
    labels = get_object(live, "metadata", "labels")
    item = state.everything.get(each.id)
    # a certificate that is not known here is no secret either
    secret = next(secrets(each.tree), None) is not None and (item is None or contents.may_hold_secret(item.tree))
    return (
        _is_ours(live, applied)
        and bool(labels.get(ownership.LABEL_INSTALLATION))
        and labels.get(ownership.LABEL_APPLICATION) == applied.label
        and contents.is_true(live, each.id, holds_secret=secret)
    )


def _refusal(each: Difference, cause: Cause, applied: Applied, revision: Revision) -> AgentError | None:
    """Why an object cannot be applied: another Application owns it, or the API server does not take it, even as a new one."""
    owner = ownership.claimed(each.live) if each.live is not None else ""
    known = applied.applications
    if each.live is not None and applied.known and not ownership.is_shared(each.tree):
        owned = (
            adopting.refusal(each.id, each.live, owner, application=applied.uid, name=applied.name, known=known)
            if cause == Cause.NEW
            else adopting.conflict(each.id, owner, applied.uid, known)
        )
        if owned is not None:
            return owned
    if each.error is None or not _is_immutable(each):
        return each.error
    return replacing.refuse(
        each.id,
        each.tree,
        each.error,
        uid=get_text(each.live or {}, "metadata", "uid"),
        ours=owner == applied.uid or not applied.known,
        commit=revision.commit,
        confirmed=_confirmation(applied),
    )


def _confirmation(applied: Applied) -> str:
    """The text of the annotation that confirms deletions."""
    return applied.application.annotations.get(names.ANNOTATION_CONFIRM_PRUNE, "") if applied.application else ""
