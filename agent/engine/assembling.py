"""From opened to assembled: substitute, encode, stamp. The assembled object is what the API request carries.

Nothing here keeps a value: assembled objects live from here to the request and its outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from agent.engine import endings, pace, questioning, rollouts
from agent.engine.ports import Resolved
from agent.engine.record import ObjectRecord, absent_at
from agent.engine.unrolled import Stood
from agent.manifests import contents, order, ownership, references, resolve
from agent.manifests.ignoring import NOTHING
from agent.manifests.resolve import Pending
from agent.values import derive
from agent.values.errors import AgentError, LimitError, StoreNotFoundError
from agent.values.expressions import Expressions
from agent.values.tree import format_path, secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.desired.compiler import DesiredState
    from agent.engine.context import Run
    from agent.engine.opening import Opened
    from agent.engine.unrolled import Standing
    from agent.manifests.ignoring import Ignored
    from agent.manifests.layers import Desired
    from agent.manifests.ownership import Owner
    from agent.manifests.references import Reference
    from agent.values.fingerprint import Fingerprinter
    from agent.values.ids import ObjectId
    from agent.values.secret import Secret
    from agent.values.tree import Object, Path


_SECONDS: Final = 5
"""For what is made of the sealed values of one object."""
_NOTHING_PENDING: Final = Pending(Expressions(), {})


@dataclass(frozen=True, slots=True)
class Assembled:
    """An object ready for its API request, and what its record will say once it is applied.

    `tree` is applied over what stands, `whole` where nothing does: with what is `ignored` from then on. None: that was not opened.
    `rendered_from` is the folder of the overlay or chart that gave it. `fresh`: a value was made for it, as it did not stand.
    """

    id: ObjectId
    tree: Object
    record: ObjectRecord
    whole: Object | None = None
    ignored: Ignored = NOTHING
    rendered_from: str = ""
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class AssembledObjects:
    """The assembled objects, and why others could not be opened, checked or assembled."""

    objects: Mapping[ObjectId, Assembled]
    failed: Mapping[ObjectId, AgentError]


async def assemble(
    run: Run,
    desired: DesiredState,
    opened: Opened,
    answers: Mapping[Reference, Resolved | AgentError],
    desired_digests: Mapping[ObjectId, str],
    *,
    standing: Standing,
) -> AssembledObjects:
    """Assemble opened objects: Secrets first, since the workloads that name them carry a token of what they hold.

    `standing` is what is met for the first time. None is assembled where a question of a chart has another answer than it was rendered for.
    """
    objects, wrong = desired.everything, await questioning.verdict(run, desired.questions, opened, answers)
    if wrong is not None:
        held = {key: wrong.with_facts(object=key) for key in opened.objects}
        return AssembledObjects({}, {**held, **opened.failed})
    assembler = Assembler(run.owner, run.fingerprints.owners, run.fingerprints.applied, run.ports.clock.monotonic)
    held = rollouts.secret_contents(run.ledger.record.objects, objects)
    stood = Stood.of(run, standing)
    room = _Room(run.limits.manifest_bytes)
    assembled: dict[ObjectId, Assembled] = {}
    failed = dict(opened.failed)
    for number, key in enumerate(sorted(opened.objects, key=rollouts.rolls), 1):
        await pace.let_others(run, number)
        item, tree = objects[key], opened.objects[key]
        token = rollouts.token_of(item, held, assembler.applied, run.application_id.uid)
        kept = stood.kept(item, token, held)
        pending = opened.pending.get(key, _NOTHING_PENDING)
        try:
            done = await pace.beside(
                run,
                tree,
                lambda item=item, tree=tree, token=token, kept=kept, pending=pending: assembler.build(
                    item,
                    tree,
                    answers,
                    desired_digest=desired_digests[item.id],
                    roll=token,
                    instead=kept,
                    partial=item.id in opened.partial,
                    pending=pending,
                ),
                made=bool(pending.expressions.known),
            )
            room.take(key, done.tree)
        except AgentError as error:
            failed[key] = error.with_facts(object=key)
            continue
        content = endings.digest(run.fingerprints.desired, run.application_id.uid, item)
        record = replace(done.record, content=content, made=opened.generated.made.get(key, {}))
        done = replace(done, record=record, fresh=key in opened.generated.fresh)
        assembled[key] = stood.note(done)
        if key.kind == "Secret" and not item.hashed:
            held[key] = done.record.applied
    return AssembledObjects(assembled, failed)


@dataclass(frozen=True, slots=True)
class Assembler:
    """What assembling needs to know of the Application. `applied` fingerprints for the purpose `applied`, `clock` is in seconds."""

    owner: Owner
    owners: Fingerprinter
    applied: Fingerprinter
    clock: Callable[[], float]

    def build(
        self,
        desired: Desired,
        opened: Object,
        answers: Mapping[Reference, Resolved | AgentError],
        *,
        desired_digest: str,
        roll: str,
        instead: str | None = None,
        partial: bool = False,
        pending: Pending = _NOTHING_PENDING,
    ) -> Assembled:
        """Assemble one object whose sealed leaves are opened: all, except those that are ignored. Raises the AgentError that holds it.

        `roll` is the token of a workload, and `instead` what one goes on with, which may be none: see `unrolled`.
        """
        key = desired.id
        wanted = references.find(opened)
        for reference, paths in references.find(pending.inputs).items():
            wanted[reference] = [*wanted.get(reference, ()), *paths]
        values, versions = values_of(key, wanted, answers)
        made = pending.made(values, self.clock, self.clock() + _SECONDS)
        assembled = resolve.fill(opened, values, made)
        order.wave_of(key, assembled)
        ignored = desired.ignored.resolving(desired.tree)
        kept = ignored.without(assembled)
        written = roll if instead is None else instead
        holds_secret = next(secrets(assembled), None) is not None or (
            partial and contents.may_hold_secret(desired.tree)
        )
        whole = self._marked(key, assembled, written, holds_secret=holds_secret)
        tree = whole if kept is assembled else self._marked(key, kept, written, holds_secret=holds_secret)
        record = ObjectRecord(
            desired.api_version,
            desired_digest=desired_digest,
            applied=self.applied.tree(self.owner.application.uid, key.key, tree),
            roll=roll,
            holds_secret=holds_secret,
            stores=versions,
            files=desired.files,
            managers=ignored.managers,
            pointers=ignored.texts,
            stood=instead is not None,
            token=instead or "",
        )
        return Assembled(key, tree, record, None if partial else whole, ignored, desired.rendered_from)

    def _marked(self, key: ObjectId, tree: Object, roll: str, *, holds_secret: bool) -> Object:
        tree = order.set_restart_token(tree, roll) if roll else tree
        tree = contents.mark(tree, key, holds_secret=holds_secret)
        return ownership.stamp(tree, key, self.owner, self.owners)


def applied_as(assembled: Assembled, *, uid: str, owned_digest: str, left: Mapping[str, str]) -> ObjectRecord:
    """The record of an object that was applied."""
    return replace(assembled.record, uid=uid, owned_digest=owned_digest, left=left)


@dataclass(slots=True)
class _Room:
    """Characters that the secrets of a run's assembled objects may still have.

    Git bounds how often a value of a store is named and the store how long it is: what is kept until it is applied is the product.
    """

    left: int

    def take(self, key: ObjectId, tree: Object) -> None:
        """Raises LimitError, and then takes none."""
        size = derive.size(tree)
        most = min(self.left, derive.LONGEST)
        if size > most:
            raise LimitError(
                "the object's values are larger than the agent applies",
                hint="use fewer or shorter values; limits.manifestBytes in the operator's file is the limit for all objects",
                object=key,
                limit=most,
            )
        self.left -= size


def values_of(
    key: ObjectId,
    wanted: Mapping[Reference, list[Path]],
    answers: Mapping[Reference, Resolved | AgentError],
) -> tuple[dict[Reference, Secret], dict[str, int]]:
    """The values of an object's references, and the version of each by its text. Raises the AgentError that holds the object."""
    values: dict[Reference, Secret] = {}
    versions: dict[str, int] = {}
    size = 0
    for reference, paths in wanted.items():
        answer = answers[reference]
        if isinstance(answer, Resolved):
            size += derive.size(answer.secret) * len(paths)
            if size > derive.LONGEST:
                raise LimitError(
                    "the object's values are larger than the API server accepts",
                    hint="use fewer or shorter values",
                    object=key,
                    limit=derive.LONGEST,
                )
            values[reference] = answer.secret
            versions[str(reference)] = answer.version
        elif reference.optional and isinstance(answer, StoreNotFoundError):
            version = answer.facts.get("version", 0)
            versions[str(reference)] = absent_at(version if isinstance(version, int) else 0)
        else:
            raise answer.with_facts(object=key, field=format_path(paths[0]))
    return values, versions
