"""Opening: the one place where the engine turns sealed leaves and references into Secrets, for exactly the objects that need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from agent.engine.finish import Finished, Finisher, rolls
from agent.engine.ports import Resolved
from agent.manifests import order, references, resolve, sinks
from agent.manifests.ownership import is_apply_if_absent, is_reconcile_disabled
from agent.sops import sealed
from agent.values import derive
from agent.values.errors import AgentError, LimitError
from agent.values.secret import Sealed, Secret
from agent.values.tree import is_large, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from agent.desired.compiler import DesiredState
    from agent.engine.context import Memory, Run
    from agent.engine.judge import Cause
    from agent.engine.record import ObjectRecord
    from agent.manifests.documents import Parsed
    from agent.manifests.references import Reference
    from agent.sops.groups import WrappedDataKey
    from agent.sops.sealed import SealedFile
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

T = TypeVar("T")

_QUICK: Final = 200
"""Values or objects that are done at once; more may take long enough to keep everything else waiting."""
_PATHS: Final = 32
"""Paths of stores that are read together; more than a store is asked at a time."""
_MANY: Final = 5000
"""Maps, lists and leaves of an object that is done at once."""


async def verify(run: Run, memory: Memory, parsed: Parsed, blobs: Mapping[str, str]) -> dict[str, AgentError]:
    """The encrypted files that cannot be trusted, by path. A blob whose MAC was verified before is not opened again."""
    untrusted: dict[str, AgentError] = {}
    if memory.record.generation != run.application.generation:
        memory.verified = {}
    memory.verified = {path: blob for path, blob in memory.verified.items() if blobs.get(path) == blob}
    new = {path: file for path, file in parsed.sealed.items() if path not in memory.verified}
    await run.ports.data_keys.prepare(run.application, _wrapped(new.values()))
    for path, file in new.items():
        try:
            await _unseal(run, file)
        except AgentError as error:
            untrusted[path] = error.with_facts(file=path)
        else:
            memory.verified[path] = blobs[path]
    return untrusted


async def _unseal(run: Run, file: SealedFile) -> Mapping[str, Secret]:
    """Of each part by its own data key, and none where a MAC does not verify."""
    parts = [
        (part, await run.ports.data_keys.unwrap(run.application, part.metadata.data_key, file.file))
        for part in file.parts
    ]

    def opened() -> dict[str, Secret]:
        values: dict[str, Secret] = {}
        for part, data_key in parts:
            values.update(sealed.unseal(part, data_key))
        return values

    return opened() if file.size <= _QUICK else await run.ports.tasks.apart(opened)


def _wrapped(files: Iterable[SealedFile]) -> list[WrappedDataKey]:
    return [part.metadata.data_key for file in files for part in file.parts]


async def finish(
    run: Run, memory: Memory, desired: DesiredState, stale: Mapping[ObjectId, Cause], recipe_of: Mapping[ObjectId, str]
) -> tuple[DesiredState, dict[ObjectId, Finished], dict[ObjectId, Cause]]:
    """Finish the stale objects and the workloads that a changed secret rolls out.

    Gives the desired state with what could not be finished held, the finished objects, and why each of them is touched.
    """
    finisher = Finisher(run.owner, run.fingerprints.owners, run.fingerprints.applied)
    touched = _with_rollouts(run, desired, stale, memory.record.objects, finisher)
    causes: dict[ObjectId, Cause] = {key: cause for key, cause in touched.items() if key not in desired.held}
    failed: dict[ObjectId, AgentError] = {}
    opened = await _open(run, desired, causes, failed)
    wanted: dict[Reference, None] = {}
    for number, (key, tree) in enumerate(opened.items(), 1):
        await _let_others(run, number)
        try:
            wanted.update(await _beside(run, tree, lambda key=key, tree=tree: _checked(run, key, tree)))
        except AgentError as error:
            failed[key] = error.with_facts(object=key)
    answers = await _resolve(run, wanted)

    finished: dict[ObjectId, Finished] = {}
    contents = _secret_contents(memory.record.objects)
    room = _Room(run.limits.manifest_bytes)
    for number, key in enumerate(sorted(opened, key=rolls), 1):
        await _let_others(run, number)
        if key in failed:
            continue
        item = desired.objects[key]
        try:
            roll = finisher.roll_token(item, contents)
            finished[key] = await _beside(
                run,
                opened[key],
                lambda key=key, item=item, roll=roll: finisher.finish(
                    item, opened[key], answers, recipe=recipe_of[key], roll=roll
                ),
            )
            room.take(key, finished[key].tree)
        except AgentError as error:
            finished.pop(key, None)
            failed[key] = error.with_facts(object=key)
        else:
            if key.kind == "Secret":
                contents[key] = finished[key].record.applied
    if failed:
        desired = await run.ports.tasks.apart(lambda: desired.holding(failed))
    return desired, {key: item for key, item in finished.items() if key not in desired.held}, causes


async def _resolve(run: Run, wanted: Collection[Reference]) -> dict[Reference, Resolved | AgentError]:
    """What the stores have, some paths at a time: who writes to a store says how much each of its values is."""
    by_path: dict[tuple[str, str, int | None], list[Reference]] = {}
    for reference in wanted:
        by_path.setdefault((reference.store, reference.path, reference.version), []).append(reference)
    paths = list(by_path.values())
    answers: dict[Reference, Resolved | AgentError] = {}
    left = run.limits.manifest_bytes
    for at in range(0, len(paths), _PATHS):
        some = [reference for path in paths[at : at + _PATHS] for reference in path]
        if left <= 0:
            answers.update({reference: _too_much(run) for reference in some})
            continue
        found = await run.ports.stores.resolve(run.application_id, some)
        left -= sum(derive.size(answer.secret) for answer in found.values() if isinstance(answer, Resolved))
        answers.update(found)
    return answers


def _too_much(run: Run) -> LimitError:
    return LimitError(
        "the values that the Application takes are together larger than the agent takes",
        hint="name fewer or shorter values; limits.manifestBytes in the operator's file is the limit",
        limit=run.limits.manifest_bytes,
    )


def _checked(run: Run, key: ObjectId, tree: Object) -> dict[Reference, None]:
    """What an opened object names of stores. Raises SinkError, ReferenceSyntaxError."""
    sinks.check(key, tree, run.grants.sinks)
    return dict.fromkeys(references.find(tree))


@dataclass(slots=True)
class _Room:
    """Characters that the secrets of a run's finished objects may still have.

    Git bounds how often a value of a store is named and the store how long it is: what is kept until it is applied is the product.
    """

    left: int

    def take(self, key: ObjectId, tree: Object) -> None:
        """Raises LimitError, and then takes none."""
        size = derive.size(tree)
        most = min(self.left, derive.LONGEST)
        if size > most:
            raise LimitError(
                "the values that the object takes are larger than the agent applies",
                hint="name shorter values, or fewer; limits.manifestBytes in the operator's file is the limit for all objects",
                object=key,
                limit=most,
            )
        self.left -= size


async def _beside(run: Run, tree: Object, work: Callable[[], T]) -> T:
    """A large object is worked on beside the loop, and a small one at once."""
    return await run.ports.tasks.apart(work) if is_large([tree], _MANY) else work()


async def _let_others(run: Run, number: int) -> None:
    """Leave the loop to others now and then: an Application may have tens of thousands of objects."""
    if number % _QUICK == 0:
        await run.ports.tasks.sleep(0)


async def _open(
    run: Run, desired: DesiredState, keys: Iterable[ObjectId], failed: dict[ObjectId, AgentError]
) -> dict[ObjectId, Object]:
    """The trees with their sealed leaves opened; each file is unsealed once."""
    wanted = [desired.objects[key] for key in keys]
    needs = {
        item.id: dict.fromkeys(leaf.id for _, leaf in walk(item.tree) if isinstance(leaf, Sealed)) for item in wanted
    }
    ids = frozenset[str]().union(*needs.values())
    secrets, errors = await _open_values(run, desired, ids)
    needed = [file for file in desired.sealed.values() if not ids.isdisjoint(file.ids)]
    await run.ports.data_keys.prepare(run.application, _wrapped(needed))
    for file in needed:
        try:
            secrets.update(await _unseal(run, file))
        except AgentError as error:
            errors.update(dict.fromkeys(file.ids, error.with_facts(file=file.file)))
    opened: dict[ObjectId, Object] = {}
    for item in wanted:
        refused = next((errors[need] for need in needs[item.id] if need in errors), None)
        if refused is not None:
            failed[item.id] = refused
        else:
            opened[item.id] = resolve.unseal(item.tree, secrets)
    return opened


async def _open_values(
    run: Run, desired: DesiredState, ids: Collection[str]
) -> tuple[dict[str, Secret], dict[str, AgentError]]:
    """The values of SealedSecrets as `data` holds them, and those that do not open."""
    values = [value for name, value in desired.values.items() if name in ids]
    if not values:
        return {}, {}
    answers = await run.ports.sealing_keys.unseal(values)
    files = {value.leaf.id: desired.objects[value.secret].files[-1] for value in values}
    secrets = {name: derive.base64_encode(each) for name, each in answers.items() if isinstance(each, Secret)}
    errors = {name: each.with_facts(file=files[name]) for name, each in answers.items() if isinstance(each, AgentError)}
    return secrets, errors


def _with_rollouts(
    run: Run,
    desired: DesiredState,
    stale: Mapping[ObjectId, Cause],
    recorded: Mapping[ObjectId, ObjectRecord],
    finisher: Finisher,
) -> dict[ObjectId, Cause]:
    """The stale objects, and the workloads that a Secret rolls out: whether its content changed shows when it is finished.

    A workload whose rollout failed or was held when its Secret was applied is still to be rolled, though nothing else of it is stale.
    """
    causes: dict[ObjectId, Cause] = dict(stale)
    secrets = {key for key in stale if key.kind == "Secret"}
    heals = run.causes <= {"live"}
    contents = _secret_contents(recorded)
    for key, item in desired.objects.items() if secrets or not heals else ():
        if key in causes or not rolls(key) or is_reconcile_disabled(item.tree) or is_apply_if_absent(item.tree):
            continue
        need = next((each for each in order.depends_on(item.tree) if each in secrets), None)
        known = recorded.get(key)
        if need is not None:
            causes[key] = stale[need]
        elif known is not None and known.uid and not heals:
            token = finisher.roll_token(item, contents)
            if token and token != known.roll:
                causes[key] = "secret"
    return causes


def _secret_contents(recorded: Mapping[ObjectId, ObjectRecord]) -> dict[ObjectId, str]:
    """What the recorded Secrets hold, as fingerprints."""
    return {key: item.applied for key, item in recorded.items() if key.kind == "Secret"}
