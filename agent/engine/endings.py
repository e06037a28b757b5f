"""What has run to its end is done for its content, however it went away: what is recorded of that, and what follows for a run.

A Job whose time to live is over, a Pod that was tidied up, a revert to a commit whose Job ran long ago: nothing of it runs again, unless
it is requested. Where it is not known whether something ran, it does not run either.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.engine import polling
from agent.engine.causes import Cause
from agent.engine.record import ASKED, ObjectRecord, Runs
from agent.manifests import endings, ownership
from agent.values.errors import AgentError, HeldError, NotFoundError
from agent.values.ids import ObjectId
from agent.values.problems import Problem
from agent.values.text import cut
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.engine.polling import Observed
    from agent.engine.record import ApplicationRecord
    from agent.manifests.kinds import Kinds
    from agent.manifests.layers import Desired
    from agent.values.fingerprint import Fingerprinter
    from agent.values.tree import Object

LOST, UNKNOWN = "Lost", "Unknown"
_MOST_REQUESTED = 20


@dataclass(frozen=True, slots=True)
class Endings:
    """What of the desired objects needs nothing because it ran, with the record that says so; what waits for a person; what runs again."""

    done: dict[ObjectId, ObjectRecord] = field(default_factory=dict[ObjectId, ObjectRecord])
    refusals: dict[ObjectId, AgentError] = field(default_factory=dict[ObjectId, AgentError])
    again: frozenset[ObjectId] = frozenset()
    problems: tuple[Problem, ...] = ()

    def sift(self, stale: Mapping[ObjectId, Cause]) -> dict[ObjectId, Cause]:
        """The stale objects without what is done, and with what runs again."""
        left = {key: cause for key, cause in stale.items() if key not in self.done}
        return {**left, **dict.fromkeys(self.again, Cause.RERUN)}


def digest(fingerprints: Fingerprinter, application: str, item: Desired) -> str:
    """Of what is run; empty for what runs to no end, and for a hook, which runs for the release."""
    if item.hook is not None or not endings.ends(item.tree):
        return ""
    # what an Application adds to all of its objects is no reason to run one again
    tree: Object = item.tree if item.own is None else {**item.tree, "metadata": item.own}
    return fingerprints.tree(application, item.id.key, ["runs to its end", endings.content(tree)])


def lost(key: ObjectId) -> AgentError:
    """Why something waits: there is no record of whether it ran."""
    return HeldError(
        "not run again: the record was lost and the object is gone, so it is unknown whether it ran",
        hint="to run it, use agent sync NAME --rerun KIND/NAME or change its manifest",
        object=key,
    )


async def note(run: Run, kinds: Kinds) -> None:
    """Record what ran to its end since the last run, first of all: whatever ends this run, it is known from then on."""
    live, departed = run.ports.live.snapshot(run.application_id.uid), run.ports.live.departed(run.application_id.uid)
    seen = [(key, fact.uid, fact.ended) for key, fact in live.items() if fact.ended]
    seen += [(key, each.uid, each.ended) for key, each in departed.items() if each.ended and key not in live]
    record = await marked(run, kinds, await _begin_again(run, kinds, run.ledger.record, live), seen)
    if record is not run.ledger.record:
        await run.ledger.save(record)


async def marked(
    run: Run, kinds: Kinds, record: ApplicationRecord, seen: Iterable[tuple[ObjectId, str, str]]
) -> ApplicationRecord:
    """A record that knows how these ended: each with the uid of the object that did, which has to be the one that was applied."""
    objects: dict[ObjectId, ObjectRecord] = {}
    ran: dict[ObjectId, Runs] = {}
    for key, uid, ending in seen:
        known = record.objects.get(key)
        if known is not None and known.uid == uid and known.ended in {"", UNKNOWN}:
            objects[key] = replace(known, ended=ending)
            before = record.ran.get(key) or Runs(await namespace_uid(run, kinds, key.namespace), {})
            ran[key] = before.having(known.content or known.desired_digest, ending)
    return record.with_objects(objects).with_runs(ran) if objects else record


async def _begin_again(
    run: Run, kinds: Kinds, record: ApplicationRecord, live: Mapping[ObjectId, LiveFact]
) -> ApplicationRecord:
    """Without what ran in a namespace that is another one by now: with it everything in it went, and is made again."""
    absent = {key.namespace for key in record.ran if key not in live and key.namespace}
    now = {namespace: await namespace_uid(run, kinds, namespace) for namespace in sorted(absent)}
    over = [
        key
        for key, runs in record.ran.items()
        if runs.namespace and now.get(key.namespace, "") not in {"", runs.namespace}
    ]
    if not over:
        return record
    known = {key: record.objects[key] for key in over if key in record.objects and key not in live}
    fresh = {key: replace(each, uid="", ended="", content="") for key, each in known.items()}
    return record.with_objects(fresh).with_runs(dict.fromkeys(over, Runs("", {})))


async def namespace_uid(run: Run, kinds: Kinds, name: str) -> str:
    """The uid of a namespace; empty for none, and where it may not be read."""
    resource = kinds.of(ObjectId("", "Namespace", "", name)) if name else None
    try:
        found = await polling.get(run, resource, "", name) if resource is not None else None
    except AgentError:
        return ""
    return get_text(found or {}, "metadata", "uid")


async def settle(
    run: Run, objects: Mapping[ObjectId, Desired], seen: Observed, digests: Mapping[ObjectId, str], kinds: Kinds
) -> Endings:
    """What follows from what ran for the objects that a commit wants, recorded before anything is sent."""
    record = run.ledger.record
    found = Endings()
    if run.application.spec.sync.mode == "apply" and run.application.rerun != record.rerun:
        # a request that was there before anything was applied asks for nothing more
        found = _requested(run, objects, seen.live) if record.newest else found
        record = replace(record, rerun=run.application.rerun)
    # until a run recorded what it applied, nothing distinguishes what ran and is gone from what is new
    settling = _Settling(record, found, lost=bool(run.ledger.loss) and record.newest is None)
    settling.ask(key for key in found.again if objects[key].hook is not None)
    found = settling.found
    departed = run.ports.live.departed(run.application_id.uid)
    for key, item in objects.items():
        content = digest(run.fingerprints.desired, run.application_id.uid, item)
        if not content or ownership.is_reconcile_disabled(item.tree):
            continue
        recorded = record.objects.get(key)
        one = _One(item, content, digests[key], recorded or ObjectRecord(item.api_version, files=item.files))
        gone = key not in seen.live and key not in run.ledger.recovered
        if settling.known(one, gone=gone) or not gone or (key.group, key.kind) not in seen.kinds:
            continue
        if settling.forgotten(one, new=recorded is None) or key in departed:
            continue
        if one.record.uid and one.same and endings.expires(item.tree):
            settling.unseen(one, await namespace_uid(run, kinds, key.namespace))
    if settling.changed or settling.ran or record is not run.ledger.record:
        await run.ledger.save(record.with_objects(settling.changed).with_runs(settling.ran))
    return found


@dataclass(frozen=True, slots=True)
class _One:
    """A desired object that runs to an end, the digest of its content, its desired digest, and what is recorded of it."""

    item: Desired
    content: str
    desired_digest: str
    record: ObjectRecord

    @property
    def same(self) -> bool:
        """Whether this is what was applied, also by an older record of an object, which has no digest of its content."""
        return self.content == self.record.content or (
            not self.record.content and self.desired_digest == self.record.desired_digest
        )


@dataclass(slots=True)
class _Settling:
    """`lost`: a record was, and nothing is recorded since. `changed` and `ran` are to be recorded."""

    record: ApplicationRecord
    found: Endings
    lost: bool
    changed: dict[ObjectId, ObjectRecord] = field(default_factory=dict[ObjectId, ObjectRecord])
    ran: dict[ObjectId, Runs] = field(default_factory=dict[ObjectId, Runs])

    def ask(self, hooks: Iterable[ObjectId]) -> None:
        """Hooks that were requested to run again do so in their turn."""
        asked = frozenset(hooks)
        self.ran |= {key: self.record.ran.get(key, Runs("", {})).having(ASKED, ASKED) for key in asked}
        self.found = replace(self.found, again=self.found.again - asked)

    def known(self, one: _One, *, gone: bool) -> bool:
        """Whether it is known to have ended.

        Then it runs again where it was requested; else it needs nothing where it is gone, or where what came later took its place.
        """
        key, runs = one.item.id, self._runs(one)
        ending = runs.endings.get(one.content, "") or runs.endings.get(one.desired_digest, "")
        if key in self.found.again:
            self.changed[key] = replace(one.record, uid="", applied="", ended="")
            self.ran[key] = runs.without({one.content, one.desired_digest})
            return True
        if not ending or not (gone or (one.record.uid and not one.same)):
            return False
        if gone and one.content not in runs.endings:
            self.ran[key] = runs.having(one.content, ending)
        self.found.done[key] = self._ended(one, ending) if gone else one.record
        return True

    def forgotten(self, one: _One, *, new: bool) -> bool:
        """Whether it is gone, and may have run before the record was lost: it waits."""
        if not (new and self.lost) and not (one.record.ended == LOST and one.same):
            return False
        self.changed[one.item.id] = replace(one.record, content=one.content, ended=LOST)
        self.found.refusals[one.item.id] = lost(one.item.id)
        return True

    def unseen(self, one: _One, namespace: str) -> None:
        """It went while no watch looked, and would have gone by itself once it had ended."""
        self.ran[one.item.id] = Runs(namespace, self._runs(one).endings).having(one.content, UNKNOWN)
        self.found.done[one.item.id] = self.changed[one.item.id] = self._ended(one, UNKNOWN)

    def _runs(self, one: _One) -> Runs:
        return self.record.ran.get(one.item.id, Runs("", {}))

    @staticmethod
    def _ended(one: _One, ending: str) -> ObjectRecord:
        return replace(
            one.record, desired_digest=one.desired_digest, files=one.item.files, content=one.content, ended=ending
        )


def _requested(run: Run, objects: Mapping[ObjectId, Desired], live: Mapping[ObjectId, LiveFact]) -> Endings:
    """What was requested to run again, and why some of it is not."""
    again: set[ObjectId] = set()
    problems: list[Problem] = []
    names = [word for word in run.application.rerun.split() if "/" in word]
    for name in names[:_MOST_REQUESTED]:
        kind, _, plain = name.partition("/")
        meant = [key for key in objects if key.name == plain and kind in {key.kind, f"{key.kind}.{key.group}"}]
        free = [key for key in meant if not ownership.is_reconcile_disabled(objects[key].tree)]
        runs = [key for key in free if endings.ends(objects[key].tree)]
        ours = run.application_id.uid
        ready = [key for key in runs if key not in live or (live[key].ended and live[key].owner == ours)]
        again.update(ready)
        if not meant:
            problems.append(
                Problem(NotFoundError("there is no object of this name to run again", asked=cut(name, 253)))
            )
        elif not ready:
            error = _not_again(free=bool(free), runs=bool(runs))
            problems.append(Problem(error.with_facts(object=meant[0]), meant[0]))
    if len(names) > _MOST_REQUESTED:
        error = HeldError("the request names more objects than can be run again at once", limit=_MOST_REQUESTED)
        problems.append(Problem(error))
    return Endings(again=frozenset(again), problems=tuple(problems))


def _not_again(*, free: bool, runs: bool) -> AgentError:
    if not free:
        return HeldError(
            "not run again: reconciliation of this object is disabled",
            hint="remove its annotation signet-gitops.dev/reconcile",
        )
    if not runs:
        return HeldError(
            "not run again: this kind does not run to completion", hint="name a Job, or another object that finishes"
        )
    return HeldError(
        "not run again: it has not ended yet, or is not proven to belong to this Application",
        hint="wait for it, or delete it: then it is created again",
    )
