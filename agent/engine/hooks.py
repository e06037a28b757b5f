"""Which hooks of a chart run: once for what the release holds, values included, and before any object of it is changed.

What ran is known from the record, and from the hook's own object where that still stands. Where neither shows it, as when a release is taken
over or the record was lost beside objects that stand, none runs by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from agent.engine import endings, generating, polling, releases
from agent.engine.assembling import Assembled
from agent.engine.causes import Cause, Why
from agent.engine.changes import HookRun, Step
from agent.engine.record import ASKED, BEGUN, DUE, ObjectRecord, Runs
from agent.engine.rounds import Event
from agent.manifests import endings as runs_to_end
from agent.manifests import hooks, ownership
from agent.values.errors import AgentError, ChartError, HeldError, HookFailedError
from agent.values.problems import Problem
from agent.values.text import few
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.desired.compiler import DesiredState
    from agent.engine.context import Run
    from agent.engine.live import LiveFact
    from agent.engine.record import ApplicationRecord
    from agent.manifests.hooks import Phase
    from agent.manifests.kinds import Kinds
    from agent.manifests.layers import Desired
    from agent.values.fingerprint import Fingerprinter
    from agent.values.ids import ObjectId
    from agent.values.tree import Object, Tree

_HEALS: Final = frozenset({Cause.EDIT, Cause.DELETION})


@dataclass(frozen=True, slots=True)
class Hooked:
    """The steps of hooks that run, in their order. `settled` need nothing, and have these records; `ran` is to be recorded first of all.

    `over` ended earlier, and their objects go. `blocked` is why nothing of the release is changed at all.
    """

    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()
    settled: Mapping[ObjectId, ObjectRecord] = field(default_factory=dict["ObjectId", ObjectRecord])
    ran: Mapping[ObjectId, Runs] = field(default_factory=dict["ObjectId", Runs])
    over: tuple[ObjectId, ...] = ()
    blocked: AgentError | None = None


NONE: Final = Hooked()


def considered(
    run: Run, desired: DesiredState, causes: Mapping[ObjectId, Cause], digests: Mapping[ObjectId, str]
) -> dict[ObjectId, Desired]:
    """The hooks that may have to run: all of them where anything of the release may hold something else than when they ran."""
    free = {key: item for key, item in desired.hooks.items() if not ownership.is_reconcile_disabled(item.tree)}
    record = run.ledger.record
    moved = any(cause not in _HEALS for cause in causes.values())
    known = all(key in record.objects and record.objects[key].desired_digest == digests.get(key) for key in free)
    waits = any(key in record.ran and record.ran[key].waits for key in free)
    rotated = not (run.rotated | generating.due(record, run.ports.clock.now())).isdisjoint(free)
    return free if free and (moved or waits or rotated or not known) else {}


def joining(
    run: Run, desired: DesiredState, causes: Mapping[ObjectId, Cause], digests: Mapping[ObjectId, str]
) -> tuple[Mapping[ObjectId, Desired], dict[ObjectId, Cause]]:
    """The hooks that may have to run, and the causes with theirs."""
    asked = considered(run, desired, causes, digests)
    return asked, {**causes, **dict.fromkeys(asked, Cause.HOOK)}


def contents(
    fingerprints: Fingerprinter, application: str, applied: Mapping[ObjectId, str], keys: Iterable[ObjectId]
) -> dict[ObjectId, str]:
    """The digest of what each hook runs for, under a key: what all objects of the release hold. `applied` are fingerprints of these."""
    release: Tree = [[key.key, applied[key]] for key in sorted(applied)]
    return {key: fingerprints.tree(application, key.key, ["hook", release]) for key in keys}


async def decide(  # noqa: PLR0917  # what is there, what is asked for, and what it is made of
    run: Run,
    desired: DesiredState,
    asked: Mapping[ObjectId, Desired],
    assembled: Mapping[ObjectId, Assembled],
    digests: Mapping[ObjectId, str],
    live: Mapping[ObjectId, LiveFact],
    met: Iterable[ObjectId],
    kinds: Kinds,
) -> tuple[DesiredState, Hooked]:
    """What becomes of the hooks that were `asked` for, once all that changes of the release is assembled; what there is to say of it."""
    blocked = _blocked(desired, asked)
    if not asked or blocked is not None:
        return desired, Hooked(blocked=blocked)
    record, application = run.ledger.record, run.application_id.uid
    applied = {key: _applied(key, assembled, record) for key in (*desired.objects, *asked)}
    fresh = contents(run.fingerprints.desired, application, applied, asked)
    found = {key: run.rounds.contents.setdefault(key, each) for key, each in fresh.items()}
    moved = [key for key in asked if fresh[key] != found[key]]  # the next run looks at these again
    event = run.rounds.event = run.rounds.event or Event(
        installing=not releases.stands(live, application, but=desired.hooks, met=met),
        unrecorded=record.newest is None,
    )
    release = _Release(
        record,
        live,
        found,
        {**digests, **dict.fromkeys(moved, "")},
        await _proofs(run, {key: found[key] for key in asked if key in live}, kinds) if event.unrecorded else {},
        event,
        spaces={
            name: await endings.namespace_uid(run, kinds, name) for name in sorted({key.namespace for key in asked})
        },
    )
    if release.adopting:
        desired = replace(desired, warnings=(*desired.warnings, _not_run(asked)))
    decided = _decided(release, {key: assembled[key] for key in asked}, asked)
    ran = {key for key, _ in run.rounds.hooked}
    return desired, replace(decided, over=tuple(key for key in decided.over if key not in ran))


async def _proofs(run: Run, contents: Mapping[ObjectId, str], kinds: Kinds) -> dict[ObjectId, str]:
    """How hooks of this Application fare by their own objects, where these ran for the content of now: no record says it any more."""
    proofs: dict[ObjectId, str] = {}
    for key, content in sorted(contents.items()):
        resource = kinds.of(key)
        tree = await polling.get(run, resource, key.namespace, key.name) if resource is not None else None
        fact = run.observer.observe(tree) if tree is not None else None
        if fact is not None and is_run_for(run, tree or {}, fact, content):
            proofs[key] = fact.ended or BEGUN
    return proofs


def is_run_for(run: Run, tree: Object, fact: LiveFact, content: str) -> bool:
    """Whether a live object is the run of a hook for a content: it carries the digest, which cannot be made without a key."""
    found = get_text(tree, "metadata", "annotations", ownership.ANNOTATION_HOOK)
    return fact.owner == run.application_id.uid and found == content and not fact.terminating


def _not_run(asked: Mapping[ObjectId, Desired]) -> Problem:
    return Problem(
        ChartError(
            "hooks of the chart are not run: something of the release stands, and no record says that this Application applied it",
            hint="agent sync NAME --rerun with one of the hooks runs it all the same",
            hooks=few([f"{key.kind}/{key.name}" for key in sorted(asked) if runs_to_end.ends(asked[key].tree)]),
        )
    )


_NONE_FAILED: Final[Mapping[ObjectId, str]] = {}


def expected(
    asked: Mapping[ObjectId, Desired], *, installing: bool | None, ended: Mapping[ObjectId, str] = _NONE_FAILED
) -> Hooked:
    """The steps of hooks where it is not known for what they ran: all of them, as far as they are for an installation, or for an upgrade.

    None: for either. `ended` are those that did not complete for this very commit, and how they ended.
    """
    steps: dict[Phase, list[Step]] = {"before": [], "after": []}
    for key, item in asked.items():
        hook = item.hook
        assert hook is not None
        either = installing is None or key in ended
        phases = hook.install | hook.upgrade if either else hook.phases(installing=bool(installing))
        times: list[Phase] = [each for each in hooks.PHASES if each in phases]
        for phase in times[:1] if runs_to_end.ends(item.tree) else times:
            assembled = Assembled(key, item.tree, ObjectRecord(item.api_version), rendered_from=item.rendered_from)
            refusal = failed(key, ended[key]) if key in ended else None
            steps[phase].append(
                Step(assembled, Cause.HOOK, refusal=refusal, why=Why(Cause.HOOK), hooked=HookRun(hook, phase))
            )
    return Hooked(tuple(sorted(steps["before"], key=_rank)), tuple(sorted(steps["after"], key=_rank)))


def _blocked(desired: DesiredState, asked: Mapping[ObjectId, Desired]) -> AgentError | None:
    """Hooks that cannot run, and values that are not known yet, by which hooks run."""
    held = sorted(key for key in desired.held if key in desired.hooks)
    if held or desired.unread_hooks:
        needs = str(held[0]) if held else desired.unread_hooks[0]
        return HeldError("waits for a hook that is held", hint="fix what holds the hook", needs=needs)
    unknown = next((key for key in sorted(desired.held) if desired.held[key].transient), None)
    if asked and unknown is not None:
        error = HeldError("waits until all values are known: hooks of the chart run for them", needs=unknown)
        return error.as_transient()
    return None


def _applied(key: ObjectId, assembled: Mapping[ObjectId, Assembled], record: ApplicationRecord) -> str:
    if key in assembled:
        return assembled[key].record.applied
    known = record.objects.get(key)
    return known.applied if known is not None else ""


@dataclass(frozen=True, slots=True)
class _Release:
    record: ApplicationRecord
    live: Mapping[ObjectId, LiveFact]
    contents: Mapping[ObjectId, str]
    digests: Mapping[ObjectId, str]
    proofs: Mapping[ObjectId, str]
    event: Event
    spaces: Mapping[str, str]

    @property
    def installing(self) -> bool:
        return self.event.installing

    @property
    def adopting(self) -> bool:
        """It stands, and nothing says that anything of it was ever applied by this Application."""
        return not self.installing and self.event.unrecorded

    def runs(self, key: ObjectId) -> Runs:
        known = self.record.ran.get(key, Runs("", {}))
        return known if known.namespace else replace(known, namespace=self.spaces.get(key.namespace, ""))

    def how(self, key: ObjectId) -> str:
        """How a hook fares for the content of now; empty where nothing is known."""
        return self.runs(key).endings.get(self.contents[key], "") or self.proofs.get(key, "")

    def is_settled(self, key: ObjectId) -> bool:
        known = self.record.objects.get(key)
        same = known is not None and bool(known.desired_digest) and known.content == self.contents[key]
        ordinary = known is not None and bool(known.owned_digest)  # it stood and ran before it was a hook
        return self.adopting or ((same or ordinary) and not self.installing)

    def phase(self, key: ObjectId, item: Desired) -> Phase | None:
        """When a hook that runs to an end does so now; None where it does not, or has done. One that both phases name runs before."""
        hook, how, runs = item.hook, self.how(key), self.runs(key)
        assert hook is not None
        if not runs.waits and (how == "Complete" or (not how and self.is_settled(key))):
            return None
        phases = hook.phases(installing=self.installing)
        if not phases and runs.unfinished:
            phases = hook.install | hook.upgrade  # it was to run, for whatever it was
        return next((each for each in hooks.PHASES if each in phases), None)


def _decided(release: _Release, items: Mapping[ObjectId, Assembled], asked: Mapping[ObjectId, Desired]) -> Hooked:
    running = {key: item for key, item in asked.items() if runs_to_end.ends(item.tree)}
    phases: dict[ObjectId, Phase] = {}
    for key, item in running.items():
        if (phase := release.phase(key, item)) is not None:
            phases[key] = phase
    steps: dict[Phase, list[Step]] = {"before": [], "after": []}
    for key, at in phases.items():
        steps[at].append(_step(release, items[key], asked[key], at))
    for key, item in asked.items():
        if key not in running:
            for at in _supports(release, key, item, running, phases):
                steps[at].append(_step(release, items[key], item, at))
    begun = {step.assembled.id for each in steps.values() for step in each}
    due = {key: release.runs(key).having(release.contents[key], DUE) for key in phases if _is_new(release, key)}
    return Hooked(
        tuple(sorted(steps["before"], key=_rank)),
        tuple(sorted(steps["after"], key=_rank)),
        {key: _record(release, items[key]) for key in asked if key not in begun},
        due,
        tuple(sorted(key for key, item in asked.items() if key not in begun and _is_over(release, key, item))),
    )


def _is_new(release: _Release, key: ObjectId) -> bool:
    return not release.how(key) and not release.runs(key).waits


def _supports(
    release: _Release,
    key: ObjectId,
    item: Desired,
    running: Mapping[ObjectId, Desired],
    phases: Mapping[ObjectId, Phase],
) -> list[Phase]:
    """When something is applied that hooks need, such as a ServiceAccount: with each that runs, or once where none is in that phase."""
    hook, installing = item.hook, release.installing
    assert hook is not None
    mine = hook.phases(installing=installing)
    # what was to run in another event may need what is for that one
    late = {at for key, at in phases.items() if (of := running[key].hook) and not of.phases(installing=installing)}
    either = (hook.install | hook.upgrade) & late
    used = {at for each in running.values() if each.hook for at in each.hook.phases(installing=installing)}
    alone: frozenset[Phase] = frozenset() if release.is_settled(key) else mine - used
    return [each for each in hooks.PHASES if each in alone or (each in mine | either and each in phases.values())]


def _rank(step: Step) -> tuple[int, int, str, str]:
    assert step.hooked is not None
    return hooks.rank(step.assembled.id, step.hooked.hook)


def _step(release: _Release, item: Assembled, desired: Desired, phase: Phase) -> Step:
    assert desired.hook is not None
    key = item.id
    again = ASKED in release.runs(key).endings.values()
    how = "" if release.runs(key).waits else release.how(key)
    record = _record(release, item)
    return Step(
        replace(item, record=record),
        Cause.HOOK,
        refusal=None if how in {"", BEGUN} else failed(key, how),
        why=Why(Cause.HOOK),
        hooked=HookRun(desired.hook, phase, release.contents[key], again, begun=how == BEGUN),
    )


def _record(release: _Release, item: Assembled) -> ObjectRecord:
    """Of a hook: nothing of it is healed, so no field of it is known as ours."""
    known = release.record.objects.get(item.id)
    same = known is not None and known.content == release.contents[item.id]
    return replace(
        item.record,
        desired_digest=release.digests[item.id],
        content=release.contents[item.id],
        uid=known.uid if known is not None else "",
        ended=known.ended if known is not None and same else "",
    )


def _is_over(release: _Release, key: ObjectId, item: Desired) -> bool:
    """Whether the object of a hook that ended, in an earlier run, is to go and still stands."""
    fact, hook = release.live.get(key), item.hook
    if fact is None or hook is None or fact.terminating:
        return False
    if runs_to_end.ends(item.tree):
        return bool(fact.ended) and release.how(key) == fact.ended and hook.goes(failed=fact.ended == "Failed")
    return hook.goes(failed=False) and not release.adopting


def failed(key: ObjectId, how: str, condition: str = "") -> HookFailedError:
    """Why the sync stops: a hook failed for what the release is to hold, or it is unknown how it ended."""
    rerun = f"{key.kind}/{key.name}"
    if how == endings.UNKNOWN:
        return HookFailedError(
            "the hook is gone, and it is unknown whether it completed: the sync stops before what follows it",
            hint="find out what it did; agent sync NAME --rerun with the value after rerun runs it again",
            object=key,
            rerun=rerun,
        )
    error = HookFailedError(
        "the hook failed: the sync stops before what follows it",
        hint="its Pods have logs; change it or its values in Git, or run it again: agent sync NAME --rerun with the value after rerun",
        object=key,
        rerun=rerun,
    )
    return error.with_facts(condition=condition) if condition else error
