"""Opening: where sealed leaves become Secrets, for exactly the objects that a run works on.

A SOPS file that is new is opened twice: whole, when its MAC is verified, and again for the objects that need it. In between the run
waits for lists and watches; values that are not needed yet are not kept for that long. The second opening asks for no key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.engine import generating, hashing, live_variables
from agent.engine.generating import NOTHING, Generated
from agent.manifests import resolve
from agent.manifests.resolve import Pending
from agent.sops.files import presented, sealed
from agent.values import derive, disclosure
from agent.values import questions as questioning
from agent.values.errors import AgentError
from agent.values.expressions import Expressions
from agent.values.secret import PUBLIC, Sealed, Secret
from agent.values.tree import walk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from agent.desired.compiler import DesiredState
    from agent.engine.context import Run
    from agent.manifests.documents import Parsed
    from agent.manifests.kinds import Kinds
    from agent.sops.files.sealed import SealedFile, SealedPart
    from agent.sops.format.groups import WrappedDataKey
    from agent.values.hashing import Salts
    from agent.values.ids import ObjectId
    from agent.values.tree import Object

_SECONDS: Final = 5
"""For what is made of certificates in one object."""
_QUICK: Final = 200
"""Values that are decrypted at once; more may take long enough to keep everything else waiting."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The blob by path of each encrypted file whose MAC verified, and why the others cannot be trusted."""

    blobs: Mapping[str, str]
    untrusted: Mapping[str, AgentError]


@dataclass(frozen=True, slots=True)
class Opened:
    """Objects with their sealed leaves opened, and why others could not be. `partial` are without what is ignored of them.

    `pending` has what leaves of an object are made of that wait for the stores, `asked` what the questions of a chart are about, `generated` the
    values that templates make up.
    """

    objects: Mapping[ObjectId, Object]
    failed: Mapping[ObjectId, AgentError]
    partial: frozenset[ObjectId] = frozenset()
    pending: Mapping[ObjectId, Pending] = field(default_factory=dict["ObjectId", Pending])
    asked: Pending | None = None
    generated: Generated = NOTHING


async def verify(run: Run, known: Collection[tuple[str, str]], parsed: Parsed, blobs: Mapping[str, str]) -> Verified:
    """Verify the encrypted files of a commit. A path and blob whose MAC was verified before is not opened again."""
    verified = {path: blob for path, blob in blobs.items() if (path, blob) in known}
    untrusted: dict[str, AgentError] = {}
    new = {path: file for path, file in parsed.sealed.items() if path not in verified}
    await _prepare(run, new.values())
    for path, file in new.items():
        try:
            await unseal(run, file)
        except AgentError as error:
            untrusted[path] = error.with_facts(file=path)
        else:
            verified[path] = blobs[path]
    return Verified(verified, untrusted)


async def open_objects(
    run: Run,
    desired: DesiredState,
    keys: Iterable[ObjectId],
    standing: Collection[ObjectId] = (),
    kinds: Kinds | None = None,
) -> Opened:
    """Open the sealed leaves of those of these objects that are not held; each file is unsealed once. What is ignored of a `standing` one is left out, sealed.

    Values that templates make up are looked up by their `kinds`.
    """
    everything = desired.everything
    wanted = [everything[key] for key in keys if key not in desired.held]
    partial = frozenset(item.id for item in wanted if item.id in standing and item.ignored.pointers)
    trees = {item.id: item.kept if item.id in partial else item.tree for item in wanted}
    made = {key: desired.expressions.behind(_sealed(tree)) for key, tree in trees.items()}
    needs = {key: _needed(tree, made[key]) for key, tree in trees.items()}
    questions = desired.expressions.behind(questioning.about(desired.questions)) if wanted else Expressions()
    asked = _needed({}, questions)
    needed = generating.need(desired, [item.id for item in wanted])
    ids = frozenset(asked).union(*needs.values(), needed.leaves(desired))
    salts = await hashing.salts(run, made, kinds)
    secrets, errors = await _unseal_values(run, desired, ids)
    whole, unprinted = await _print_files(run, desired, ids)
    live, changed = await live_variables.reopened(run, desired.live, ids)
    secrets = {**secrets, **whole, **live}
    errors = {**errors, **unprinted, **changed}
    files = [file for file in desired.sealed.values() if not ids.isdisjoint(file.ids)]
    await _prepare(run, files)
    for file in files:
        try:
            secrets.update(await unseal(run, file))
        except AgentError as error:
            errors.update(dict.fromkeys(file.ids, error.with_facts(file=file.file)))
    generated = await generating.values(run, desired, needed, kinds, (secrets, errors)) if kinds else NOTHING
    secrets |= generated.values
    errors |= generated.errors
    opened: dict[ObjectId, Object] = {}
    failed: dict[ObjectId, AgentError] = {}
    for item in wanted:
        refused = next((errors[need] for need in (*needs[item.id], *asked) if need in errors), None)
        if refused is not None:
            failed[item.id] = refused
            continue
        try:
            clear = await _public(run, trees[item.id], desired, secrets, salts)
            opened[item.id] = resolve.unseal(trees[item.id], secrets, made[item.id].known, clear)
        except AgentError as error:
            failed[item.id] = error
    pending = {key: _pending(each, secrets, salts) for key, each in made.items() if each.known and key in opened}
    asking = _pending(questions, secrets) if questions.inputs else None
    return Opened(opened, failed, partial, pending, asking, generated)


def _sealed(tree: Object) -> Iterable[str]:
    return (leaf.id for _, leaf in walk(tree) if isinstance(leaf, Sealed))


async def _public(
    run: Run, tree: Object, desired: DesiredState, secrets: Mapping[str, Secret], salts: Salts
) -> dict[str, str]:
    """The leaves that are no secrets, as text, by id."""
    leaves = [leaf.id for _, leaf in walk(tree) if isinstance(leaf, Sealed) and leaf.type == PUBLIC]
    if not leaves:
        return {}
    made, clock = desired.expressions.behind(leaves), run.ports.clock.monotonic

    def work() -> dict[str, str]:
        known = _pending(made, secrets, salts).made({}, clock, clock() + _SECONDS)
        values = {name: known[name] if name in known else secrets.get(name) for name in leaves}
        return {name: disclosure.public(value) for name, value in values.items() if value is not None}

    return await run.ports.tasks.in_thread(work)


def _needed(tree: Object, made: Expressions) -> dict[str, None]:
    """The ids of what is opened for an object: its sealed leaves, and what others are made of."""
    behind = [each.id for each in made.inputs.values() if isinstance(each, Sealed)]
    return dict.fromkeys([*(name for name in _sealed(tree) if name not in made.known), *behind])


def _pending(made: Expressions, secrets: Mapping[str, Secret], salts: Salts | None = None) -> Pending:
    inputs: Object = {
        name: secrets.get(each.id) if isinstance(each, Sealed) else each for name, each in made.inputs.items()
    }
    return Pending(made, inputs, salts)


async def _print_files(
    run: Run, desired: DesiredState, ids: Collection[str]
) -> tuple[dict[str, Secret], dict[str, AgentError]]:
    """The SOPS files that are values as a whole, as sops prints them, and those that do not open."""
    secrets: dict[str, Secret] = {}
    errors: dict[str, AgentError] = {}
    files = {name: file for name, file in desired.whole.items() if name in ids}
    if not files:
        return {}, {}
    await _prepare(run, [file.sealed for file in files.values()])
    for name, file in files.items():
        try:
            keys = [key for _, key in await _data_keys(run, file.sealed)]
            secrets[name] = await run.ports.tasks.in_thread(lambda file=file, keys=keys: presented.printed(file, keys))
        except AgentError as error:
            errors[name] = error.with_facts(file=file.file)
    return secrets, errors


async def unseal(run: Run, file: SealedFile) -> Mapping[str, Secret]:
    """Of each part by its own data key, and none where a MAC does not verify."""
    parts = await _data_keys(run, file)

    def opened() -> dict[str, Secret]:
        values: dict[str, Secret] = {}
        for part, data_key in parts:
            values.update(sealed.unseal(part, data_key))
        return values

    return opened() if file.size <= _QUICK else await run.ports.tasks.in_thread(opened)


async def _data_keys(run: Run, file: SealedFile) -> list[tuple[SealedPart, Secret]]:
    source = _source(run, file)
    return [
        (part, await run.ports.data_keys.unwrap(run.application, part.metadata.data_key, file.file, source))
        for part in file.parts
    ]


def _source(run: Run, file: SealedFile) -> str:
    """Whose keys open it: the repository of a submodule, or the name of a source."""
    module = run.revision.submodule_at(file.file) if run.revision is not None else None
    return module.url if module is not None else run.application.spec.source_of(file.file)


async def _prepare(run: Run, files: Iterable[SealedFile]) -> None:
    """Open what is cheaper together, of each source for itself."""
    by_source: dict[str, list[WrappedDataKey]] = {"": []}
    for file in files:
        keys = by_source.setdefault(_source(run, file), [])
        keys += [part.metadata.data_key for part in file.parts]
    for source, wrapped in by_source.items():
        await run.ports.data_keys.prepare(run.application, wrapped, source)


async def _unseal_values(
    run: Run, desired: DesiredState, ids: Collection[str]
) -> tuple[dict[str, Secret], dict[str, AgentError]]:
    """The values of SealedSecrets as `data` holds them, and those that do not open."""
    values = [value for name, value in desired.values.items() if name in ids]
    if not values:
        return {}, {}
    answers = await run.ports.sealing_keys.unseal(run.application_id, values)
    files = {value.leaf.id: desired.everything[value.secret].files[-1] for value in values}
    secrets = {name: derive.base64_encode(each) for name, each in answers.items() if isinstance(each, Secret)}
    errors = {name: each.with_facts(file=files[name]) for name, each in answers.items() if isinstance(each, AgentError)}
    return secrets, errors
