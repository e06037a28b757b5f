"""Suffixes: which name a generated object stands under, whose rendered name follows the ciphertext.

The name that stands stays while what the object holds stays: the record knows it by a keyed fingerprint. What it does not know, such as
an object that kubectl or Flux applied, is looked for in the cluster once: it has the hash of the values themselves. That hash is made here
and compared here, and leaves this module for no name that does not stand already.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from agent.desired.compiler import DesiredState, UnknownChangeError
from agent.engine import opening, pace, polling
from agent.manifests import ownership, references, rendered, resolve, suffixes
from agent.manifests.layers import Desired
from agent.manifests.rendered import Output
from agent.manifests.resolve import Pending
from agent.manifests.suffixes import Standing
from agent.values.errors import InputError, LimitError
from agent.values.expressions import Expressions
from agent.values.ids import ObjectId, Revision
from agent.values.problems import Problem
from agent.values.secret import Secret
from agent.values.tree import get, get_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.desired.inputs import Given
    from agent.engine.context import Run
    from agent.engine.record import ApplicationRecord
    from agent.engine.renderers import Rendered
    from agent.manifests.documents import Parsed
    from agent.manifests.kinds import Resource
    from agent.manifests.suffixes import Generated
    from agent.values.tree import Object

_SECONDS: Final = 5
"""For what is made of the sealed values of one object."""
_NOTHING_PENDING: Final = Pending(Expressions(), {})
_NO_REVISION: Final = Revision("", "", "", 0)
_MOST_READ: Final = 16
"""Earlier generations of one object that are read to find the one with its content."""


@dataclass(frozen=True, slots=True)
class Settled:
    """`standing` are the names by the rendered ones; `read` is what was rendered under each, with sealed leaves, `renames` what to change."""

    standing: Mapping[str, Standing] = field(default_factory=dict[str, Standing])
    read: Mapping[str, Object] = field(default_factory=dict[str, "Object"])

    @property
    def renames(self) -> Mapping[str, str]:
        return suffixes.names(self.standing)

    def result(self, given: Rendered) -> Rendered:
        """What was rendered, by the names that stand."""
        renames = self.renames
        if not renames:
            return given
        return replace(
            given, objects=tuple(replace(each, tree=suffixes.renamed(each.tree, renames)) for each in given.objects)
        )

    def layers(self, given: Parsed) -> Parsed:
        """Documents of layers that name what was rendered."""
        renames = self.renames
        if not renames:
            return given
        return replace(
            given,
            documents=tuple(replace(each, tree=suffixes.renamed(each.tree, renames)) for each in given.documents),
        )

    def stated(self, desired: DesiredState) -> DesiredState:
        """The desired state with these names, and with its Secrets whose name alone says what they hold."""
        if not self.standing:
            return desired
        by_name = {
            suffixes.live_name(key, each): self.read[key] for key, each in self.standing.items() if not each.rolls
        }
        hashed = {
            key: replace(item, hashed=True)
            for key, item in desired.objects.items()
            if (key.group, key.kind) == ("", "Secret")
            and (read := by_name.get(f"Secret/{key.name}")) is not None
            and suffixes.is_as_rendered(read, item.tree)
        }
        return replace(desired, objects={**desired.objects, **hashed}, standing=self.standing)


NOTHING: Final = Settled()


async def settle(run: Run, result: Rendered, found: Parsed, given: Given) -> Settled:
    """The names of what was generated. Raises UnknownChangeError where a value does not open, and what the cluster raises."""
    generated = await run.ports.tasks.in_thread(lambda: suffixes.find(each.tree for each in result.objects))
    if not generated:
        return NOTHING
    record = run.ledger.record
    families = {suffixes.family(key) for key in record.standing}
    known: dict[str, Standing] = {}
    new: dict[str, Generated] = {}
    for each in generated:
        if each.key in record.standing:
            known[each.key] = record.standing[each.key]
        elif each.family in families or not _is_applied(record, _id(run, each, each.suffix)):
            new[each.key] = each
    read = {each.key: (each, Output(each.key, each.tree)) for each in generated if each.key in known or each.key in new}
    taken = await run.ports.tasks.in_thread(
        lambda: rendered.read([output for _, output in read.values()], given.sources, ())
    )
    trees = {
        key: each.tree
        for key, each in zip(read, taken.objects, strict=True)
        if each.error is None and isinstance(each.tree, dict)
    }
    sealed = DesiredState(_NO_REVISION, {}, found.sealed, expressions=taken.expressions, whole=given.whole)
    contents = await _contents(run, [each for key, each in new.items() if key in trees], trees, sealed)
    chosen = await _choose(run, record, contents)
    return Settled({key: each for key, each in {**known, **chosen}.items() if key in trees}, trees)


def _is_applied(record: ApplicationRecord, key: ObjectId) -> bool:
    """Whether an object is recorded as applied: where its family has no names, by an agent that kept none, which leaves it as it is."""
    known = record.objects.get(key)
    return known is not None and bool(known.uid)


def _id(run: Run, each: Generated, suffix: str) -> ObjectId:
    return ObjectId("", each.kind, each.namespace or run.application.namespace, f"{each.base}-{suffix}")


@dataclass(frozen=True, slots=True)
class _Content:
    """`print` is the keyed fingerprint of what an object holds, `hash` that of kustomize: None where stores have a part of it."""

    of: Generated
    print: str
    hash: Secret | None


async def _contents(
    run: Run, new: Sequence[Generated], trees: Mapping[str, Object], sealed: DesiredState
) -> list[_Content]:
    """What new ones hold, of what is `sealed`. One whose values give no object is left out: it is held when it is finished."""
    if not new:
        return []
    keys = {_id(run, each, each.suffix): each for each in new}
    objects = {key: Desired(key, "v1", trees[each.key], ()) for key, each in keys.items()}
    asked = replace(sealed, objects=objects)
    opened = await opening.open_objects(run, asked, objects)
    for error in opened.failed.values():
        if isinstance(error, LimitError):
            continue
        raise UnknownChangeError((Problem(error, file=str(error.facts.get("file", ""))),))
    contents: list[_Content] = []
    for number, (key, tree) in enumerate(opened.objects.items(), 1):
        await pace.let_others(run, number)
        pending = opened.pending.get(key, _NOTHING_PENDING)
        try:
            contents.append(
                await pace.beside(
                    run, tree, lambda each=keys[key], tree=tree, pending=pending: _content(run, each, tree, pending)
                )
            )
        except InputError:
            continue
    return contents


def _content(run: Run, each: Generated, tree: Object, pending: Pending) -> _Content:
    wanted = {**references.find(tree), **references.find(pending.inputs)}
    # a store's value may change while the name stays: what counts here is which one it is
    values = {reference: Secret(run.fingerprints.applied.text(str(reference)), str(reference)) for reference in wanted}
    clock = run.ports.clock.monotonic
    finished = resolve.fill(tree, values, pending.made(values, clock, clock() + _SECONDS))
    return _Content(each, _print(run, each, finished), None if wanted else suffixes.true_hash(each, finished))


def _print(run: Run, each: Generated, finished: Object) -> str:
    return run.fingerprints.applied.tree(run.application_id.uid, f"generated {each.family}", suffixes.content(finished))


async def _choose(run: Run, record: ApplicationRecord, contents: Iterable[_Content]) -> dict[str, Standing]:
    """The name of each: one that stands with the same content, or the rendered one."""
    families = {suffixes.family(key) for key in record.standing}
    known = {(suffixes.family(key), each.content): each for key, each in record.standing.items()}
    cluster = _Cluster(run)
    chosen: dict[str, Standing] = {}
    for content in contents:
        each = content.of
        standing = known.get((each.family, content.print))
        if standing is None and each.family not in families:
            standing = await cluster.standing(content)
        if standing is None:
            standing = Standing(each.suffix, content.print, content.hash is None)
        known[each.family, content.print] = chosen[each.key] = standing
    return chosen


@dataclass(slots=True)
class _Cluster:
    """What stands of generated objects that no record knows: suffixes and metadata, by kind, namespace and base of the name."""

    run: Run
    listed: dict[tuple[str, str], Mapping[str, Sequence[tuple[str, Object]]]] = field(
        default_factory=dict[tuple[str, str], "Mapping[str, Sequence[tuple[str, Object]]]"]
    )

    async def standing(self, content: _Content) -> Standing | None:
        """The one that has this content: by its name, or of ours, by what it holds."""
        each = content.of
        key = _id(self.run, each, each.suffix)
        resource = (await self.run.ports.target.kinds()).of(key)
        if resource is None:
            return None
        there = [
            (suffix, owner)
            for suffix, met in (await self._listed(resource, key.namespace)).get(each.base, ())
            if (owner := self._owner(each, suffix, met)) in {None, self.run.application_id.uid}
        ]
        for suffix, _ in there:
            if Secret(suffix, "name") == content.hash:
                return self._found(each, suffix, content)
        for suffix in [suffix for suffix, owner in there if owner][:_MOST_READ]:
            live = await polling.get(self.run, resource, key.namespace, f"{each.base}-{suffix}")
            if live is not None and _print(self.run, each, live) == content.print:
                return self._found(each, suffix, content)
        return None

    def _found(self, each: Generated, suffix: str, content: _Content) -> Standing:
        """Where it was applied before names were kept, workloads have a token of it, and keep that."""
        before = _is_applied(self.run.ledger.record, _id(self.run, each, suffix))
        return Standing(suffix, content.print, content.hash is None or before)

    def _owner(self, each: Generated, suffix: str, met: Object) -> str | None:
        """The uid of the Application that owns it, unless that is gone."""
        observer = self.run.observer
        owner = ownership.prove(met, _id(self.run, each, suffix), observer.installation, observer.owners)
        return owner if owner in self.run.known_applications else None

    async def _listed(self, resource: Resource, namespace: str) -> Mapping[str, Sequence[tuple[str, Object]]]:
        place = (resource.kind, namespace)
        if place not in self.listed:
            by_base: defaultdict[str, list[tuple[str, Object]]] = defaultdict(list)
            for item in await polling.list_metadata(self.run, resource, namespace, ()):
                name = suffixes.parts(get_text(item, "metadata", "name"))
                if name is not None and get(item, "metadata", "deletionTimestamp") is None:
                    by_base[name[0]].append((name[1], item))
            self.listed[place] = by_base
        return self.listed[place]
