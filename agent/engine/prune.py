"""What may be deleted: objects proven ours that no layer has any more, and never many of them, or what holds others, unconfirmed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from agent.engine.guard import NOTHING_WAITS, Guard, confirmation
from agent.manifests import sealed_secrets, suffixes
from agent.values.errors import AgentError, Fact, PruneRefusedError
from agent.values.ids import short

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from agent.desired.compiler import DesiredState
    from agent.engine.live import LiveFact
    from agent.engine.record import ApplicationRecord
    from agent.values.ids import ObjectId, Revision

CONFIRMED_ONLY: Final = frozenset(
    {
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("", "Namespace"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
    }
)
"""Group and kind of what holds other things: it goes only once that is confirmed, and is never replaced."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`confirmed` is the text of the confirm-prune annotation: a commit, by 7 characters or more, and which objects."""

    enabled: bool = True
    confirmed: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Objects to delete, and objects that are left where they are with the reason.

    `gone` are recorded and not ours any more, or never were: there is nothing to delete, only to forget. `guard` is to be recorded before
    anything is deleted.
    """

    allowed: tuple[ObjectId, ...]
    refused: Mapping[ObjectId, AgentError]
    gone: frozenset[ObjectId] = frozenset()
    guard: Guard = NOTHING_WAITS


def decide(
    desired: DesiredState,
    *,
    record: ApplicationRecord,
    live: Mapping[ObjectId, LiveFact],
    application: str,
    policy: Policy,
    observed: Collection[tuple[str, str]],
) -> Decision:
    """Recorded or proven objects that are not desired any more.

    `application` is the uid that proves them ours; `observed` are the groups and kinds that are watched: an object of another kind that
    was applied counts as being there.
    """
    there = standing(record, live, application, observed)
    wanted = desired.everything.keys() | desired.held.keys()
    present = sorted(there - wanted)
    gone = frozenset(key for key in record.objects.keys() - there - wanted if (key.group, key.kind) in observed)
    applied = there | {key for key in wanted if key in record.objects and record.objects[key].uid}
    # what ran to its end and is gone makes no Application larger than it is
    over = {key for key, item in record.objects.items() if item.ended and key not in live}
    # a Secret in the place of a SealedSecret loses nothing, nor does another generation of what is generated
    followed = {key for key in present if _is_unsealed(key, desired)} | {*_followed(present, record, desired)}
    total, going = len(applied - over), len(set(present) - over - followed)
    many = going > 0 and (going == total or (going >= 3 and 2 * going > total))
    candidates = [key for key in present if not (key in live and live[key].keep)]  # its author's wish, and no failure
    guarded = [
        key
        for key in candidates
        if (many and key not in followed) or (key.group, key.kind) in CONFIRMED_ONLY or key in record.guard.known
    ]
    commit = desired.revision.commit
    guard = record.guard.after(guarded, confirmation=policy.confirmed, commit=commit)
    renamed = {**_renamed(guard.waiting, desired.objects.keys() - applied), **guard.renamed}
    guard = replace(guard, renamed={old: new for old, new in renamed.items() if new in desired.objects})
    if not policy.enabled:
        return Decision((), {}, gone, guard)
    if desired.incomplete:
        reason = PruneRefusedError("not pruned while anything is held", hint="fix what is held; pruning then continues")
        return Decision((), dict.fromkeys(candidates, reason), gone, guard)
    allowed = tuple(key for key in candidates if key not in guard.waiting)
    return Decision(allowed, unconfirmed(guard, commit), gone, guard)


def _is_unsealed(key: ObjectId, desired: DesiredState) -> bool:
    """Whether it is a SealedSecret whose Secret is desired itself."""
    kind = (key.group, key.kind)
    return kind == (sealed_secrets.GROUP, sealed_secrets.KIND) and sealed_secrets.secret_id(key) in desired.objects


def _followed(present: Iterable[ObjectId], record: ApplicationRecord, desired: DesiredState) -> Iterator[ObjectId]:
    """Earlier generations of objects that are desired with another content."""
    before = {suffixes.live_name(key, each) for key, each in record.standing.items()}
    now = {suffixes.live_name(key, each) for key, each in desired.standing.items()}
    coming = {
        (key.namespace, suffixes.family(name)) for key in desired.objects if now and (name := _generated(key)) in now
    }
    for key in present:
        name = _generated(key)
        if name in before and (key.namespace, suffixes.family(name)) in coming:
            yield key


def _generated(key: ObjectId) -> str:
    return f"{key.kind}/{key.name}" if not key.group else ""


def standing(
    record: ApplicationRecord,
    live: Mapping[ObjectId, LiveFact],
    application: str,
    observed: Collection[tuple[str, str]],
) -> set[ObjectId]:
    """The objects that are ours to delete: proven so, or applied and of a kind that is not watched. What is being deleted is not."""
    ours = {key for key, fact in live.items() if fact.owner == application and not fact.terminating}
    unseen = {
        key
        for key, item in record.objects.items()
        if item.uid and key not in live and (key.group, key.kind) not in observed
    }
    return ours | unseen


def protected(keys: Iterable[ObjectId]) -> list[ObjectId]:
    """Those that go with what is in them, such as a Namespace or a volume claim."""
    return [key for key in keys if (key.group, key.kind) in CONFIRMED_ONLY]


def unconfirmed(guard: Guard, commit: str) -> dict[ObjectId, AgentError]:
    """Why each object that waits stays: the question, and what confirms it, which names a commit."""
    confirm = confirmation(commit, guard.waiting)
    refused: dict[ObjectId, AgentError] = {}
    for key in sorted(guard.waiting):
        facts: dict[str, Fact] = {"commit": short(commit), "confirm": confirm} if commit else {}
        if key in guard.renamed:
            facts["looks like a rename of"] = f"{key.name} → {guard.renamed[key].name}"
        refused[key] = PruneRefusedError(
            "deletion is waiting for confirmation",
            hint="run agent sync NAME --confirm-prune with the value after confirm: it sets the annotation signet-gitops.dev/confirm-prune"
            " for all objects that show that value",
            object=key,
            **facts,
        )
    return refused


def confirms(word: str, revision: Revision) -> bool:
    """Whether a text names this commit, by 7 characters or more."""
    word = word.removeprefix("sha256:")
    return len(word) >= 7 and revision.commit.removeprefix("sha256:").startswith(word)


def _renamed(gone: Iterable[ObjectId], new: Iterable[ObjectId]) -> dict[ObjectId, ObjectId]:
    """One that goes and one that comes, each the only one of its kind."""
    by_kind: defaultdict[tuple[str, str], tuple[list[ObjectId], list[ObjectId]]] = defaultdict(lambda: ([], []))
    for side, keys in enumerate((gone, new)):
        for key in keys:
            by_kind[key.group, key.kind][side].append(key)
    return {old[0]: come[0] for old, come in by_kind.values() if len(old) == len(come) == 1}
