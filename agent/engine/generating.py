"""Values that templates make up: made once, and from then on what stands in the cluster is the value, also where a person put it there.

Which of them stand is asked as the Application's ServiceAccount, at every opening. One that was there and is not any more is not made again
without a confirmation: something else may still know it. A certificate, its key and the CA that signed it are made together, and are
renewed together.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.api import names
from agent.engine import bundles, live_variables, operands
from agent.engine.causes import Cause
from agent.engine.record import ObjectRecord
from agent.engine.rounds import Made
from agent.manifests import ownership
from agent.values import derive, placeholders
from agent.values.errors import (
    AgentError,
    ForbiddenError,
    GeneratedValueLostError,
    RandomValueError,
)
from agent.values.generated import TEXTS
from agent.values.secret import Sealed, Secret
from agent.values.tree import format_path, get, walk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from agent.desired.compiler import DesiredState
    from agent.engine.bundles import Maker
    from agent.engine.context import Run
    from agent.engine.record import ApplicationRecord
    from agent.manifests.generated import GeneratedValue, Holder
    from agent.manifests.kinds import Kinds
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

_AGAIN_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Generated:
    """Values by the ids of their leaves, and why others are not known.

    `made` is what records of the objects that hold them say: by path, when it is renewed, in Unix seconds; 0 for never. `fresh` objects did not
    stand, and hold what was made for them.
    """

    values: Mapping[str, Secret] = field(default_factory=dict[str, Secret], repr=False)
    errors: Mapping[str, AgentError] = field(default_factory=dict[str, AgentError])
    made: Mapping[ObjectId, Mapping[str, int]] = field(default_factory=dict["ObjectId", "Mapping[str, int]"])
    fresh: frozenset[ObjectId] = frozenset()


NOTHING: Final = Generated()


def due(record: ApplicationRecord, now: float) -> frozenset[ObjectId]:
    """The objects with certificates that are to be renewed."""
    return frozenset(key for key, each in record.objects.items() if any(0 < at <= now for at in each.made.values()))


def next_renewal(record: ApplicationRecord, now: float) -> float | None:
    """The seconds until the next certificate is to be renewed. What should have been and is held waits an hour."""
    times = [at for each in record.objects.values() for at in each.made.values() if at]
    if not times:
        return None
    return min(times) - now if min(times) > now else _AGAIN_SECONDS


def with_users(
    desired: DesiredState, stale: Mapping[ObjectId, Cause], renewed: Collection[ObjectId] = ()
) -> dict[ObjectId, Cause]:
    """The stale objects, and all that use a value which one of them, or of those to be renewed, holds: it may be another one by now."""
    causes = dict(stale)
    if not desired.generated or not (stale or renewed):
        return causes
    used, touched = _used(desired), {*stale, *renewed}
    held = {name for name, each in desired.generated.items() if any(at.object in touched for at in each.holders)}
    moved = {name for bundle in bundles.of(desired.generated) if not held.isdisjoint(bundle) for name in bundle}
    for key, ids in used.items():
        if key not in desired.objects:
            continue  # a hook, which runs for all of them
        tree = desired.objects[key].tree
        if not (moved.isdisjoint(ids) or ownership.is_reconcile_disabled(tree) or ownership.is_apply_if_absent(tree)):
            causes.setdefault(key, Cause.GENERATED)
    return causes


@dataclass(frozen=True, slots=True)
class Need:
    """What some objects need, the `keys`: `wanted` values, and their `bundles`. `used` are the values that each object is made of."""

    keys: Collection[ObjectId] = ()
    used: Mapping[ObjectId, frozenset[str]] = field(default_factory=dict["ObjectId", frozenset[str]])
    wanted: frozenset[str] = frozenset()
    bundles: Sequence[frozenset[str]] = ()

    def leaves(self, desired: DesiredState) -> frozenset[str]:
        """The ids of the sealed leaves that the values are made with."""
        return operands.needed(desired, self.bundles)


def need(desired: DesiredState, keys: Collection[ObjectId]) -> Need:
    """What these objects, and questions, need of the values that templates make up."""
    if not desired.generated or not keys:
        return Need()
    used = _used(desired)
    wanted = _asked(desired).union(*(used.get(key, ()) for key in keys))
    return Need(keys, used, wanted, [each for each in bundles.of(desired.generated) if not each.isdisjoint(wanted)])


async def values(
    run: Run,
    desired: DesiredState,
    needed: Need,
    kinds: Kinds,
    opened: tuple[Mapping[str, Secret], Mapping[str, AgentError]],
) -> Generated:
    """What stands of the values that objects need, and what is made as it never stood. `opened` are the sealed leaves, and why some are not."""
    if not needed.keys:
        return NOTHING
    live = await standing(
        run, kinds, {at.object for each in needed.bundles for name in each for at in desired.generated[name].holders}
    )
    opening = _Opening(run, desired, bundles.Maker(run, desired.generated), needed.wanted, live, opened)
    for bundle in needed.bundles:
        users = {key for key, ids in needed.used.items() if key in desired.objects and not bundle.isdisjoint(ids)}
        await opening.take(bundle, users, renews=users <= {*needed.keys} and users.isdisjoint(desired.held))
    await opening.confirm()
    await opening.note_loss()
    return Generated(opening.values, opening.errors, opening.made, frozenset(opening.fresh))


def _used(desired: DesiredState) -> dict[ObjectId, frozenset[str]]:
    """The values that each object is made of, by id."""
    return {key: ids for key, item in desired.everything.items() if (ids := _of(desired, _leaves(item.tree)))}


def _leaves(tree: Object) -> list[str]:
    return [leaf.id for _, leaf in walk(tree) if isinstance(leaf, Sealed)]


def _of(desired: DesiredState, ids: Iterable[str]) -> frozenset[str]:
    given = [*ids]
    return frozenset(desired.generated.keys() & {*given, *desired.expressions.behind(given).inputs})


def _asked(desired: DesiredState) -> frozenset[str]:
    named = (each for question in desired.questions for text in question.args for each in placeholders.find(text))
    return _of(desired, named)


async def standing(run: Run, kinds: Kinds, keys: Iterable[ObjectId]) -> dict[ObjectId, Object | AgentError | None]:
    """What stands, read with the rights of the Application, and never those of the agent."""
    identity = live_variables.reader(run).identity
    found: dict[ObjectId, Object | AgentError | None] = {}
    for key in sorted(keys):
        resource = kinds.of(key)
        try:
            found[key] = (
                await run.ports.target.get(resource, key.namespace, key.name, identity=identity) if resource else None
            )
        except ForbiddenError as error:
            found[key] = error.with_facts(object=key).with_hint(
                "let the ServiceAccount of the Application get this object: a value that a chart made up is read from it"
            )
        except AgentError as error:
            found[key] = error.with_facts(object=key)
    return found


@dataclass(slots=True)
class _Opening:
    run: Run
    desired: DesiredState
    maker: Maker
    wanted: Collection[str]
    live: Mapping[ObjectId, Object | AgentError | None]
    opened: tuple[Mapping[str, Secret], Mapping[str, AgentError]] = field(repr=False)
    values: dict[str, Secret] = field(default_factory=dict[str, Secret], repr=False)
    errors: dict[str, AgentError] = field(default_factory=dict[str, AgentError])
    made: dict[ObjectId, dict[str, int]] = field(default_factory=dict["ObjectId", dict[str, int]])
    lost: dict[frozenset[str], Mapping[str, Secret]] = field(
        default_factory=dict["frozenset[str]", "Mapping[str, Secret]"], repr=False
    )
    fresh: set[ObjectId] = field(default_factory=set["ObjectId"])

    async def take(self, bundle: frozenset[str], users: Collection[ObjectId], *, renews: bool) -> None:
        """The values of a bundle: as they stand, made, or not known. `users` are made of them, hooks aside."""
        given = self.desired.generated
        held = {name for name in bundle if given[name].holders}
        if unheld := (bundle - held) & {*self.wanted}:
            self.errors.update(dict.fromkeys(bundle, _unheld(given[min(unheld)])))
            return
        unread = next(
            (
                error
                for name in sorted(held)
                for at in given[name].holders
                if isinstance(error := self.live[at.object], AgentError)
            ),
            None,
        )
        if unread is not None:
            self.errors.update(dict.fromkeys(bundle, unread))
            return
        found = {name: value for name in held if (value := self._standing(given[name])) is not None}
        try:
            made_with = await self._operands(bundle)
        except AgentError as error:
            self.errors.update(dict.fromkeys(bundle, error))
            return
        earlier = self.run.rounds.made.get(bundle)
        if earlier is not None and earlier.explains(found):
            self._take_made(bundle, earlier)
            return
        until = await bundles.renewal(self.run, given, found, made_with) if found.keys() == held else None
        places = {at.object for name in held for at in given[name].holders}
        if until is None and (found or self._was_made(held)) and (found or users or not all(map(self._goes, places))):
            self.lost[bundle] = made_with
        elif until is None or (
            until and until <= self.run.ports.clock.now() and renews and all(map(self._is_applied_again, places))
        ):
            await self._make(bundle, made_with)
        else:
            self._keep(bundle, found, until)

    async def confirm(self) -> None:
        """Make what was lost once more where that is confirmed; else it is held, with what confirms it."""
        if not self.lost:
            return
        word = self._confirmation()
        if self.run.application.annotations.get(names.ANNOTATION_CONFIRM_NEW_VALUES, "") == word:
            for bundle, made_with in self.lost.items():
                await self._make(bundle, made_with)
            return
        for bundle in self.lost:
            places = sorted(str(at) for name in bundle for at in self.desired.generated[name].holders)
            error = GeneratedValueLostError(
                "a value that was made before does not stand there any more, and a new one is not made without a confirmation",
                hint="put the old value back; or let a new one be made: run agent sync NAME --confirm-new-values with the value after "
                "confirm, which sets the annotation signet-gitops.dev/confirm-new-values",
                value=places[0],
                confirm=word,
            )
            self.errors.update(dict.fromkeys(bundle, error))

    async def note_loss(self) -> None:
        """Record what was lost with the record itself, so that it stays lost after a restart."""
        record = self.run.ledger.record
        lost: dict[ObjectId, dict[str, int]] = {}
        for at in (at for bundle in self.lost for name in bundle for at in self.desired.generated[name].holders):
            if at.object not in record.objects and not self.made.get(at.object):
                lost.setdefault(at.object, {})[format_path(at.path)] = 0
        if lost and self.run.application.spec.sync.mode == "apply":
            held = {
                key: ObjectRecord(self.desired.everything[key].api_version, made=made) for key, made in lost.items()
            }
            await self.run.ledger.save(record.with_objects(held))

    def _confirmation(self) -> str:
        """Names what is lost, and this loss alone: of an object that is applied again the record says something else."""
        record = self.run.ledger.record.objects
        lines: list[str] = []
        for name in (name for bundle in self.lost for name in bundle):
            for at in self.desired.generated[name].holders:
                known = record.get(at.object)
                lines.append(f"{at} {known.uid if known else ''} {known.applied if known else ''}")
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:12]

    def _standing(self, value: GeneratedValue) -> Secret | None:
        """What the first of its holders has."""
        for at in value.holders:
            tree = self.live[at.object]
            if isinstance(tree, dict) and (found := _read(tree, at, value)) is not None:
                return found
        return None

    def _was_made(self, held: Iterable[str]) -> bool:
        """Whether one of these was there; where the record is lost, whether the object is ours."""
        record = self.run.ledger.record.objects
        return any(
            self._is_ours(at.object) or bool(self.run.ledger.recovered)
            if at.object not in record and self.run.ledger.loss
            else at.object in record and format_path(at.path) in record[at.object].made
            for name in held
            for at in self.desired.generated[name].holders
        )

    def _goes(self, key: ObjectId) -> bool:
        """Whether an object is a hook's that is deleted once it has run: what only such objects have is made for each run."""
        hook = self.desired.hooks[key].hook if key in self.desired.hooks else None
        return hook is not None and hook.goes(failed=False)

    def _is_applied_again(self, key: ObjectId) -> bool:
        """Whether another value reaches an object: not a hook of the installation alone, nor one whose object is gone."""
        hook = self.desired.hooks[key].hook if key in self.desired.hooks else None
        return hook is None or (bool(hook.upgrade) and not hook.goes(failed=False))

    def _is_ours(self, key: ObjectId) -> bool:
        tree, observer = self.live[key], self.run.observer
        owner = ownership.prove(tree, key, observer.installation, observer.owners) if isinstance(tree, dict) else None
        return owner == self.run.application_id.uid

    def _keep(self, bundle: frozenset[str], values: Mapping[str, Secret], until: int) -> None:
        self.values |= values
        for name in bundle:
            for at in self.desired.generated[name].holders:
                due = until if self._is_applied_again(at.object) else 0
                self.made.setdefault(at.object, {})[format_path(at.path)] = due

    async def _operands(self, bundle: frozenset[str]) -> dict[str, Secret]:
        clock = self.run.ports.clock.monotonic
        return await self.run.ports.tasks.in_thread(lambda: operands.of(self.desired, bundle, *self.opened, clock))

    async def _make(self, bundle: frozenset[str], made_with: Mapping[str, Secret]) -> None:
        try:
            made = await self.maker.make(bundle, made_with)
            until = await bundles.renewal(self.run, self.desired.generated, made, made_with)
        except AgentError as error:
            self.errors.update(dict.fromkeys(bundle, error))
            return
        found = {name: value for name in bundle if (value := self._standing(self.desired.generated[name])) is not None}
        self.run.rounds.made[bundle] = Made(made, until or 0, found)
        self._take_made(bundle, self.run.rounds.made[bundle])

    def _take_made(self, bundle: frozenset[str], made: Made) -> None:
        self._keep(bundle, made.values, made.until)
        holders = {at.object for name in bundle for at in self.desired.generated[name].holders}
        self.fresh |= {key for key in holders if self.live[key] is None}


def _unheld(value: GeneratedValue) -> AgentError:
    asked = value.generation
    return RandomValueError(
        "what holds a value that a template makes up is not part of what is applied, so it could not be kept",
        hint="set the value wherever the chart uses it, or leave its key as the chart has it",
        function=asked.function,
        file=asked.file,
        line=asked.line,
    )


def _read(tree: Object, at: Holder, value: GeneratedValue) -> Secret | None:
    """The value that a live leaf holds; None where there is none, or one that is something else."""
    leaf = get(tree, *at.path)
    if not isinstance(leaf, Secret | str) or leaf == "":
        return None
    label = f"generated:{at}"
    found = derive.relabel(leaf, label) if isinstance(leaf, Secret) else Secret(leaf, label)
    if derive.size(found) == 0:
        return None
    try:
        for _ in range(at.encodings + (at.path[0] == "data" and at.object.kind == "Secret" and not at.object.group)):
            found = derive.base64_decode(found)
        if at.clipped and value.generation.function in TEXTS:
            found = derive.clip(found, "")
        return derive.text(found)
    except AgentError:
        return None
