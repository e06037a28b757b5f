"""The record: what was last applied, by which a no-op, drift and pruning are judged without any plaintext.

Losing one costs re-applies, never a wrong prune: an object that is not recorded is only ever pruned when its owner annotation proves it ours. No
values are in it. How one is stored: see `shards`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from agent.engine.guard import NOTHING_WAITS, Guard
from agent.manifests import suffixes
from agent.manifests.suffixes import Standing
from agent.values.ids import ObjectId

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.values.ids import Revision


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """What is known of one object since its last apply.

    `desired_digest` is the fingerprint of the sealed merge; `applied` that of the assembled object; `owned_digest` that of the live values at the
    fields that we own. `holds_secret` says that a path of it holds one: then the whole live object is wrapped when it is read. `stores`
    has the version of each store reference; of an optional one that had no value, `absent_at` the version that lacked it.
    `uid` is empty while the first apply is under way. `left` has what people added and are left, by its path, and why: see `additions`.
    Of what runs to an end, `content` is the digest of what is run, and `ended` says how it ended, or that it is not known whether it did:
    `Unknown` where it went unseen, `Lost` where the record did. `managers` and `pointers` are what of the object is ignored: whatever the
    managers own, and the fields that pointers lead to. `stood` and `token`: see `unrolled`. `made`: values that were made for it and when each
    is renewed: see `generating`.
    """

    api_version: str
    uid: str = ""
    desired_digest: str = ""
    applied: str = ""
    owned_digest: str = ""
    roll: str = ""
    holds_secret: bool = False
    stores: Mapping[str, int] = field(default_factory=dict[str, int])
    files: tuple[str, ...] = ()
    left: Mapping[str, str] = field(default_factory=dict[str, str])
    content: str = ""
    ended: str = ""
    managers: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    stood: bool = False
    made: Mapping[str, int] = field(default_factory=dict[str, int])
    token: str = ""


DUE, ASKED, BEGUN = "Due", "Asked", "Begun"
"""Of a hook, beside how it ended: it is to run, it was requested to run again, it was sent."""
MOST_RUNS: Final = 10
_MOST_RAN: Final = 1000


@dataclass(frozen=True, slots=True)
class Runs:
    """The last digests of an object that ran to their end in a namespace, oldest first, each with how it ended; also of one that left Git."""

    namespace: str
    endings: Mapping[str, str]

    def having(self, digest: str, ending: str) -> Runs:
        """With one more, the last of all."""
        others = {each: how for each, how in self.endings.items() if each != digest}
        last = [*others.items(), (digest, ending)][-MOST_RUNS:]
        return Runs(self.namespace, dict(last))

    @property
    def waits(self) -> frozenset[str]:
        """Of a hook: whether it is to run, whatever the release holds by now."""
        return frozenset(self.endings.values()) & {DUE, ASKED}

    @property
    def unfinished(self) -> bool:
        """Of a hook: whether it did not complete when it ran last, or is to run."""
        return bool(self.waits) or [*self.endings.values()][-1:] not in ([], ["Complete"])

    def having_run(self, digest: str, how: str) -> Runs:
        """A hook with how it fares for this content, and nothing that it still waits for."""
        left = {each for each, known in self.endings.items() if known in {DUE, ASKED, BEGUN}}
        return self.without(left).having(digest, how)

    def without(self, digests: Collection[str]) -> Runs:
        return Runs(self.namespace, {each: how for each, how in self.endings.items() if each not in digests})


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known of signatures in a repository, which a fingerprint of its URL names.

    `accepted` is the commit that was accepted last, `commit` a refused one after it, first `seen` at that Unix second.
    """

    repository: str
    accepted: str = ""
    commit: str = ""
    seen: int = 0


@dataclass(frozen=True, slots=True)
class QuestionRecord:
    """What a chart's questions came to: digests of those that failed since the last of `confirmed` confirmations, and of the set that `passed` last."""

    failed: tuple[str, ...] = ()
    passed: str = ""
    confirmed: int = 0


@dataclass(frozen=True, slots=True)
class ApplicationRecord:
    """The inventory of an Application. `verified` maps a SOPS file to the blob whose MAC was verified under `generation`.

    `epoch` counts the times that the Application was taken, as far as this record goes back, `holder` says by whom. `applying` is the commit that a
    run began to apply, until it is recorded as `revision`: what that run was killed over is never taken back to the one before. `noted`:
    what people had added before the agent took such things out is in the objects' `left`. `ran` is what ran to its end, in the order of
    ending, `rerun` the request to run something again that was handled last. `guard` is what waits for a confirmation to be deleted.
    `standing` says under which name a generated object stands, by the name that it was rendered with: see `suffixes`. `trust` is there
    where the operator asks for signatures, and `trusts` where for those of further sources. `asked` is the fingerprint of what the spec asked of the `newest` commit. `questions` are there
    where templates asked sealed values something: see `questioning`.
    """

    revision: Revision | None = None
    generation: int = 0
    objects: Mapping[ObjectId, ObjectRecord] = field(default_factory=dict[ObjectId, ObjectRecord])
    verified: Mapping[str, str] = field(default_factory=dict[str, str])
    epoch: int = 0
    holder: str = ""
    applying: Revision | None = None
    noted: bool = False
    ran: Mapping[ObjectId, Runs] = field(default_factory=dict[ObjectId, Runs])
    rerun: str = ""
    guard: Guard = NOTHING_WAITS
    standing: Mapping[str, Standing] = field(default_factory=dict[str, Standing])
    trust: Trust | None = None
    asked: str = ""
    questions: QuestionRecord | None = None
    trusts: tuple[Trust, ...] = ()

    @property
    def newest(self) -> Revision | None:
        """The newest commit that any agent began to apply."""
        return self.applying or self.revision

    def with_objects(
        self, changed: Mapping[ObjectId, ObjectRecord], gone: frozenset[ObjectId] = frozenset()
    ) -> ApplicationRecord:
        """A copy with some objects updated and others forgotten."""
        merged = {**self.objects, **changed}
        kept = {key: value for key, value in merged.items() if key not in gone}
        return replace(self, objects=kept, guard=self.guard.without(gone))

    def with_runs(self, changed: Mapping[ObjectId, Runs]) -> ApplicationRecord:
        """A copy that knows of more that ran to its end; the oldest are forgotten where they are too many."""
        merged = {**{key: runs for key, runs in self.ran.items() if key not in changed}, **changed}
        kept = [(key, runs) for key, runs in merged.items() if runs.endings]
        return replace(self, ran=dict(kept[-_MOST_RAN:]))

    def with_standing(self, now: Mapping[str, Standing]) -> ApplicationRecord:
        """A copy with the names that stand `now`. An earlier one of another content is kept while an object of it is recorded."""
        contents = {(suffixes.family(key), each.content) for key, each in now.items()}
        recorded = {f"{key.kind}/{key.name}" for key in self.objects} if self.standing else frozenset[str]()
        kept = {
            key: each
            for key, each in self.standing.items()
            if (suffixes.family(key), each.content) not in contents and suffixes.live_name(key, each) in recorded
        }
        return replace(self, standing={**kept, **now})

    def of_file(self, path: str) -> frozenset[ObjectId]:
        """The identities that this file contributed to, as far as recorded."""
        return frozenset(key for key, value in self.objects.items() if path in value.files)


def absent_at(version: int) -> int:
    """How `stores` says that an optional value was missing: by a negative number. `version` is the one that lacked it, 0 without any."""
    return -1 - version
