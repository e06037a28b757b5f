"""What may be deleted: objects proven ours that no layer has any more, and never many of them without a person's word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.values.errors import AgentError, PruneRefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

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
"""Group and kind of what holds other things: it goes only by a person's word, and is never replaced."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`confirmed` is the text of the confirm-prune annotation.

    It names the commit, by 7 characters or more, whose deletions a person confirms.
    """

    enabled: bool = True
    confirmed: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Objects to delete, and objects that are left where they are with the reason.

    `gone` are those of both that do not stand any more, as far as watches tell: there is nothing to delete, only to forget.
    """

    allowed: tuple[ObjectId, ...]
    refused: Mapping[ObjectId, AgentError]
    gone: frozenset[ObjectId] = frozenset()


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
    ours = {key for key, fact in live.items() if fact.owner == application}
    known = ours | record.objects.keys()
    candidates = sorted(key for key in known if key not in desired.objects and key not in desired.held)
    if not candidates or not policy.enabled:
        return Decision((), {})
    present = [
        key for key in candidates if key in ours or ((key.group, key.kind) not in observed and record.objects[key].uid)
    ]
    gone = frozenset(candidates).difference(present)
    if desired.incomplete:
        reason = PruneRefusedError(
            "not pruned while anything is held", hint="mend what is held; pruning goes on by itself"
        )
        return Decision((), dict.fromkeys(candidates, reason), gone)
    confirmed = confirms(policy.confirmed, desired.revision)
    # what ran to its end and is gone makes no Application larger than it is
    over = {key for key, each in record.objects.items() if each.ended and key not in live}
    size, going = len(known - over), len(set(candidates) - over)
    many = (len(present) >= 3 and 2 * len(present) > size) or (bool(present) and going == size)
    refused: dict[ObjectId, AgentError] = {}
    allowed: list[ObjectId] = []
    for key in candidates:
        fact = live.get(key)
        if fact is not None and fact.keep:
            continue  # its author's wish, and nobody's failure
        if not confirmed and (many or (key.group, key.kind) in CONFIRMED_ONLY):
            refused[key] = _unconfirmed(key, desired.revision.commit)
        else:
            allowed.append(key)
    return Decision(tuple(allowed), refused, gone)


def confirms(word: str, revision: Revision) -> bool:
    """Whether the text of the confirm-prune annotation names this commit, by 7 characters or more."""
    return len(word) >= 7 and revision.commit.startswith(word)


def refuse_precious(keys: Collection[ObjectId], commit: str) -> dict[ObjectId, AgentError]:
    """Those that go with what is in them, such as a Namespace or a volume claim, and why they stay."""
    return {key: _unconfirmed(key, commit) for key in sorted(keys) if (key.group, key.kind) in CONFIRMED_ONLY}


def _unconfirmed(key: ObjectId, commit: str) -> PruneRefusedError:
    error = PruneRefusedError(
        "needs a person's word to be deleted",
        hint="annotate the Application with signet-gitops.dev/confirm-prune: <commit>",
        object=key,
    )
    return error.with_facts(commit=commit[:12]) if commit else error
