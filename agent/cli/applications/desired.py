"""What a work tree asks for: the agent's own steps from files to objects, with the user's keys where a command opens secrets.

Which command opens what is the command's to say: by default nothing is decrypted, and no key is looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli import terminal
from agent.cli.applications import made_values, worktree
from agent.cli.keys import key_sources
from agent.desired import compiler, metadata, namespaces
from agent.engine import hooks, plan, prune
from agent.engine.assembling import Assembled
from agent.engine.causes import Cause
from agent.engine.record import ApplicationRecord, ObjectRecord
from agent.manifests import builtin, documents, known_kinds, order, references, resolve, sinks
from agent.sops.files import sealed
from agent.sops.format.groups import unwrap_data_key
from agent.values import derive
from agent.values.dataclass import dataclass, replace
from agent.values.errors import AgentError, DataKeyError, HeldError, UnknownKindError
from agent.values.ids import Revision
from agent.values.problems import Problem, repeated
from agent.values.secret import PUBLIC, Sealed, Secret
from agent.values.text import counted
from agent.values.tree import map_leaves, walk
from agent.yaml.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import TypeAlias

    from agent.adapters.keys.sealed_secrets import SealingKeys
    from agent.adapters.kubernetes.cluster import Cluster
    from agent.api.application import Application
    from agent.cli.applications.standing import Names
    from agent.cli.applications.worktree import Target
    from agent.desired.compiler import DesiredState, UnknownChangeError
    from agent.desired.rendering import Made
    from agent.engine.changes import ChangeSet
    from agent.engine.rendering import Files, Inputs
    from agent.engine.repositories import Snapshot
    from agent.engine.suffixes import Settled
    from agent.manifests.documents import Parsed
    from agent.manifests.kinds import Kinds
    from agent.sops.format.keys import MasterKeys, WrappedKey
    from agent.values.ids import ObjectId
    from agent.values.tree import Leaf, Object, Path

    _Merge: TypeAlias = Callable[[Kinds], DesiredState]

NO_COMMIT = Revision("", "work tree", "", 0)
_SHOWN = 3
"""Places of one cause that are named."""


@dataclass(frozen=True, slots=True)
class Declared:
    """The objects of a work tree. `opened` are those that nothing holds, by identity; where nothing was decrypted, still sealed.

    `locked` are the files that none of the user's keys opens, where that holds nothing: the agent's may.
    """

    state: DesiredState
    opened: Mapping[ObjectId, Object]
    locked: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong, and what waits for it."""
        reported = {problem.object for problem in self.state.problems}
        waiting = [
            Problem(error, key)
            for key, error in self.state.held.items()
            if isinstance(error, HeldError) and key not in reported
        ]
        return (*self.locked, *self.state.problems, *waiting)


async def compute(
    target: Target,
    kinds: Kinds | None,
    keys: MasterKeys | None,
    *,
    snapshot: Snapshot | None = None,
    files: Files | None = None,
    revision: Revision = NO_COMMIT,
    unopened: Secret | None = None,
    recorded: Callable[[str], Collection[ObjectId]] = lambda _: (),
    cluster: Cluster | None = None,
    names: Names | None = None,
) -> Declared:
    """The desired state of a work tree, or of the files in `snapshot` and those of `files` that it renders, every object checked as far as it is open.

    A file that none of the keys opens holds its objects, or `unopened` stands in the place of its values. `recorded` are the objects
    that were applied from a file: those of one that cannot be read are held. `kinds` None: kinds that no one knows are taken for
    namespaced. `keys` None: nothing is decrypted. Variables are from the `cluster`. `names` None: names are as rendered. Raises
    UnknownChangeError where nothing can be said, LimitError, SourceError. A chart is rendered for the `cluster`, or for a usual one.
    """
    snapshot = snapshot or worktree.read(target)
    parsed = _parse(target, snapshot)
    given = await _given(target, cluster, files)
    parsed = replace(parsed, sealed={**parsed.sealed, **given.given.sealed}) if given is not None else parsed
    secrets, untrusted, opened = _open(parsed, keys) if keys is not None else ({}, {}, {})
    untrusted, locked = _apart(untrusted) if unopened is not None else (untrusted, {})
    untrusted |= _unopenable(target, parsed)
    secrets.update({name: unopened for path in locked for name in parsed.sealed[path].ids if unopened is not None})
    made = None
    if given is not None:
        from agent.cli.applications import overlays

        given = overlays.trusted(target, given, untrusted, secrets)
        secrets |= {**overlays.printed(given, keys, locked, opened), **given.live.values} if keys is not None else {}
        made = await overlays.make(target, parsed, given, cluster, names and names.settling(secrets, unopened))
        parsed = replace(parsed, documents=made[0].documents)
    documents.refuse_many(parsed.documents, objects=target.limits.objects, values=target.limits.values)

    def merged(kinds: Kinds) -> DesiredState:
        state = compiler.compute(
            revision,
            parsed,
            untrusted=untrusted,
            refused=snapshot.refused,
            layered=len(target.source.layers) + (given is not None) > 1,
            kinds=kinds,
            places=target.places,
            recorded=recorded,
            unsealing=target.unsealing,
            strict=target.strict,
            ignore=target.application.spec.ignore if target.application else (),
        )
        return _with_more(state, target.application) if target.application else state

    state = _stated(target, merged(kinds) if kinds is not None else _without_cluster(merged), made, given)
    if keys is None:
        return _checked(state, None, target)
    values, failed = _open_values(state, target.sealing_keys, unopened)
    declared = _checked(state.holding(failed), secrets | values, target, unopened)
    return replace(declared, locked=tuple(Problem(error, file=path) for path, error in locked.items()))


def _with_more(state: DesiredState, application: Application) -> DesiredState:
    """With the namespaces and the metadata that an Application adds."""
    return metadata.stamp(namespaces.created(state, application), application.spec.common_metadata)


def _parse(target: Target, snapshot: Snapshot) -> Parsed:
    limits = Limits.served(size=target.limits.file_bytes, depth=target.limits.yaml_depth)
    return documents.parse(snapshot.files, limits=limits)


def _unopenable(target: Target, parsed: Parsed) -> dict[str, AgentError]:
    """The files for which no agent has a key, whatever the user's keys are."""
    found: dict[str, AgentError] = {}
    for path, file in parsed.sealed.items():
        try:
            for part in file.parts:
                target.stores.check_recipients(part.metadata.data_key, path)
        except DataKeyError as error:
            found[path] = error
    return found


def _apart(untrusted: Mapping[str, AgentError]) -> tuple[dict[str, AgentError], dict[str, AgentError]]:
    """The files that are wrong, and those that no key opens."""
    locked = {path: error for path, error in untrusted.items() if isinstance(error, DataKeyError)}
    return {path: error for path, error in untrusted.items() if path not in locked}, dict(locked)


def _open_values(
    state: DesiredState, given: SealingKeys | None, unopened: Secret | None
) -> tuple[dict[str, Secret], dict[ObjectId, AgentError]]:
    """The values of SealedSecrets, by id; and the Secrets of those that do not open. What the cluster keeps is `unopened`."""
    secrets = {name: unopened for name in state.generated if unopened is not None}
    failed: dict[ObjectId, AgentError] = {}
    if not state.values:
        return secrets, failed
    from agent.adapters.keys.sealed_secrets import SealingKeys

    keys = given or SealingKeys()
    for value in state.values.values():
        try:
            secrets[value.leaf.id] = derive.base64_encode(keys.unseal(value).secret)
        except AgentError as error:
            item = state.objects[value.secret]
            failed[value.secret] = error.with_facts(object=value.secret, file=", ".join(item.files))
    return secrets, failed


def _open(
    parsed: Parsed, keys: MasterKeys
) -> tuple[dict[str, Secret], dict[str, AgentError], dict[WrappedKey, Secret]]:
    """Every value of every encrypted file whose MAC verifies, by id; the files that cannot be trusted; and what the keys opened."""
    secrets: dict[str, Secret] = {}
    untrusted: dict[str, AgentError] = {}
    order_of_kinds = key_sources.order("")
    opened: dict[WrappedKey, Secret] = {}
    for path, file in parsed.sealed.items():
        terminal.progress(f"opening {path}")
        try:
            values: dict[str, Secret] = {}
            for part in file.parts:
                data_key = unwrap_data_key(part.metadata.data_key, keys, file=path, order=order_of_kinds, opened=opened)
                values.update(sealed.unseal(part, data_key))
            secrets.update(values)
        except AgentError as error:
            untrusted[path] = error.with_facts(file=path)
    return secrets, untrusted, opened


def _without_cluster(merged: _Merge) -> DesiredState:
    state = merged(known_kinds.offline())
    unknown = {
        (str(problem.error.facts["version"]), problem.object.kind)
        for problem in state.problems
        if isinstance(problem.error, UnknownKindError) and problem.object is not None
    }
    for api_version, kind in sorted(unknown):
        terminal.warn(f"{kind} of {api_version} is neither built in nor defined here: its scope is a guess")
    return merged(known_kinds.offline(unknown)) if unknown else state


async def _given(target: Target, cluster: Cluster | None, files: Files | None) -> Inputs | None:
    """What is rendered; None where nothing is, as in most folders, which need not load what renders."""
    if not worktree.renders(target.spec):
        return None
    from agent.cli.applications import overlays

    return await overlays.collect(target, await overlays.variables(target, cluster), files)


def _stated(
    target: Target, state: DesiredState, made: tuple[Made, Settled] | None, given: Inputs | None
) -> DesiredState:
    if made is None or given is None:
        return state
    from agent.cli.applications import overlays

    return overlays.stated(target, state, made, given)


def _checked(
    state: DesiredState,
    secrets: dict[str, Secret] | None,
    target: Target,
    unopened: Secret | None = None,
) -> Declared:
    failed: dict[ObjectId, AgentError] = {}
    opened: dict[ObjectId, Object] = {}
    wrong = made_values.answered(state, secrets, unopened) if secrets is not None else None
    if wrong is not None:
        failed = {key: wrong.with_facts(object=key) for key in state.everything if key not in state.held}
        return Declared(state.holding(failed), {})
    for key, item in state.everything.items():
        if key in state.held:
            continue
        try:
            opened[key] = checked = item.tree
            if secrets is not None:
                made = made_values.of(item.tree, state.expressions, secrets, unopened)
                left = {*state.expressions.known.keys() - made, *state.generated.keys() - secrets.keys()}
                known = {**secrets, **made} if made else secrets
                opened[key] = resolve.unseal(item.tree, known, left)
                checked = resolve.unseal(item.tree, known, left | _public(item.tree))
            check(key, checked, target.sinks, state.variables)
            target.stores.check(references.find(checked))
            target.stores.check(references.find(made_values.inputs(item.tree, state.expressions, secrets or {})))
        except AgentError as error:
            failed[key] = error.with_facts(object=key, file=", ".join(item.files))
    state = state.holding(failed)
    return Declared(state, {key: tree for key, tree in opened.items() if key not in state.held})


def _public(tree: Object) -> set[str]:
    """The leaves that are no secrets, wherever they stand."""
    return {leaf.id for _, leaf in walk(tree) if isinstance(leaf, Sealed) and leaf.type == PUBLIC}


def check(key: ObjectId, tree: Object, allowed: sinks.AllowedSinks, variables: Mapping[str, str] | None = None) -> None:
    """Everything that can be wrong with an object before a store or the cluster is asked. Raises the AgentError that holds it."""
    sinks.check(key, tree, allowed, variables)
    order.wave_of(key, tree)
    # A digit stands anywhere, in a URL and in JSON too.
    values = {reference: Secret("0", str(reference)) for reference in references.find(tree)}
    if not any(isinstance(leaf, Sealed) for _, leaf in walk(tree)):
        resolve.fill(tree, values)


def planned(declared: Declared) -> ChangeSet:
    """The engine's plan where nothing stands yet: what is applied in which wave, and what is held. Hooks for upgrades are among them."""
    state = declared.state
    finished = {
        key: Assembled(key, tree, ObjectRecord(state.objects[key].api_version))
        for key, tree in declared.opened.items()
        if key in state.objects
    }
    hooked = hooks.expected({key: item for key, item in state.hooks.items() if key in declared.opened}, installing=None)
    basis = plan.Basis(ApplicationRecord(), "", prune.Policy(), hooked=hooked)
    return plan.compute(declared.state, finished, dict.fromkeys(finished, Cause.NEW), basis)


def with_labels(tree: Object) -> Object:
    """The object with a label for each value that waits for a store."""

    def show(_: Path, leaf: Leaf) -> Leaf:
        return f"<secret {leaf.label}>" if isinstance(leaf, Sealed) else leaf

    result = map_leaves(tree, show)
    assert isinstance(result, dict)
    return result


def labelled(key: ObjectId, tree: Object) -> Object:
    """The object as it may be shown: each secret as its label, and so whatever a `v1/Secret` holds. References stay to be read."""

    def show(path: Path, leaf: Leaf) -> Leaf:
        if isinstance(leaf, Sealed | Secret):
            return f"<secret {leaf.label}>"
        if builtin.is_core_secret(tree) and path[0] in {"data", "stringData"} and leaf is not None:
            return _template(key, path, leaf)
        return leaf

    result = map_leaves(tree, show)
    assert isinstance(result, dict)
    return result


def _template(key: ObjectId, path: Path, leaf: str | float | bool) -> str:
    found = [str(reference) for reference in references.find({"value": leaf})]
    if found and isinstance(leaf, str) and leaf.startswith("vault://"):
        return leaf
    label = f"git:{key}#{'.'.join(str(step) for step in path)}"
    return f"<secret {label} with {' and '.join(found)}>" if found else f"<secret {label}>"


def report(problems: Iterable[Problem]) -> int:
    """Report each problem on standard error once, with the places that it has; how many there are."""
    count = 0
    for each in repeated(problems, objects=True):
        places = [_place(problem) for problem in each.problems]
        count += len(places)
        if len(places) == 1:
            terminal.error(_placed(each.problems[0]))
            continue
        more = len(places) - _SHOWN
        shown = ", ".join(places[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        terminal.note(f"{shown}: {each.error} ({counted(len(places), 'time')})", lead="agent: ", colour="red")
        if each.error.hint:
            terminal.hint(each.error.hint)
    return count


def _placed(problem: Problem) -> AgentError:
    error = problem.error
    if problem.object is not None:
        error = error.with_facts(object=problem.object)
    return error.with_facts(file=problem.file) if problem.file else error


def _place(problem: Problem) -> str:
    facts = _placed(problem).facts
    file = ":".join(str(facts[name]) for name in ("file", "line", "column") if name in facts)
    return ": ".join(part for part in (file, str(facts.get("object", ""))) if part)


def warn(warnings: Iterable[Problem]) -> None:
    """Warn on standard error of what is applied and hardly meant."""
    hints: dict[str, None] = {}
    for problem in warnings:
        error = problem.error if problem.object is None else problem.error.with_facts(object=problem.object)
        terminal.warn(str(error))
        hints[error.hint] = None
    for hint in hints:
        terminal.hint(hint)


def problems_of(error: UnknownChangeError) -> tuple[Problem, ...]:
    """The files that cannot be read, and that nothing else can be said for it."""
    return (*error.problems, Problem(error))
