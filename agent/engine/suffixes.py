"""Suffixes: which name a generated object stands under, whose rendered name follows the ciphertext.

The name that stands stays while what the object holds stays: the record knows it by a keyed fingerprint. What it does not know, such as
an object that kubectl or Flux applied, is looked for in the cluster once: it has the hash of the values themselves. That hash is made here
and compared here, and leaves this module for no name that does not stand already.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

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
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from agent.desired.inputs import Given
    from agent.engine.context import Run
    from agent.engine.record import ApplicationRecord
    from agent.engine.renderers import Rendered
    from agent.manifests.documents import Parsed
    from agent.manifests.places import Places
    from agent.manifests.suffixes import Generated
    from agent.values.fingerprint import Fingerprinter
    from agent.values.tree import Object

    Printer: TypeAlias = Callable[[Generated, Object], str]

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
    tasks, record = run.ports.tasks, run.ledger.record
    taken = await tasks.in_thread(lambda: take(result, record, given, run.places))
    if not taken.trees:
        return NOTHING
    sealed = DesiredState(_NO_REVISION, {}, found.sealed, expressions=taken.expressions, whole=given.whole)
    contents = await _contents(run, taken, sealed)
    return Settled({**taken.known, **await choose(record, contents, _Cluster(run))}, taken.trees)


@dataclass(frozen=True, slots=True)
class Taken:
    """What was generated. `known` are names in the record, `new` is what it does not know; `trees` are read, by the rendered name.

    What is wrong by itself is left out, and so is what was applied by an agent that kept no names.
    """

    known: Mapping[str, Standing]
    new: Mapping[ObjectId, Generated]
    trees: Mapping[str, Object]
    expressions: Expressions


def take(result: Rendered, record: ApplicationRecord, given: Given, places: Places) -> Taken:
    """What was generated of sealed values, and goes where it may: nothing is looked for in another namespace."""
    families = {suffixes.family(key) for key in record.standing}
    found = {
        each.key: each
        for each in suffixes.find(each.tree for each in result.objects)
        if places.allows(places.of(each.namespace))
        and (
            each.key in record.standing
            or each.family in families
            or not _is_applied(record, _id(each, each.suffix, places.of(each.namespace)))
        )
    }
    read = rendered.read([Output(key, each.tree) for key, each in found.items()], given.sources, ())
    trees = {
        key: each.tree
        for key, each in zip(found, read.objects, strict=True)
        if each.error is None and isinstance(each.tree, dict)
    }
    known = {key: record.standing[key] for key in trees if key in record.standing}
    new = {
        _id(each, each.suffix, places.of(each.namespace)): each
        for key, each in found.items()
        if key in trees.keys() - known
    }
    return Taken(known, new, trees, read.expressions)


def _is_applied(record: ApplicationRecord, key: ObjectId) -> bool:
    known = record.objects.get(key)
    return known is not None and bool(known.uid)


def _id(each: Generated, suffix: str, namespace: str) -> ObjectId:
    return ObjectId("", each.kind, namespace, f"{each.base}-{suffix}")


@dataclass(frozen=True, slots=True)
class Content:
    """`print` is the keyed fingerprint of what an object holds, `hash` that of kustomize: None where stores have a part of it."""

    id: ObjectId
    of: Generated
    print: str
    hash: Secret | None


async def _contents(run: Run, taken: Taken, sealed: DesiredState) -> list[Content]:
    """What new ones hold, of what is `sealed`. One whose values give no object is left out: it is held when it is assembled."""
    if not taken.new:
        return []
    objects = {key: Desired(key, "v1", taken.trees[each.key], ()) for key, each in taken.new.items()}
    opened = await opening.open_objects(run, replace(sealed, objects=objects), objects)
    for error in opened.failed.values():
        if not isinstance(error, LimitError):
            raise UnknownChangeError((Problem(error, file=str(error.facts.get("file", ""))),))
    contents: list[Content] = []
    printer, clock = printer_of(run.fingerprints.applied, run.application_id.uid), run.ports.clock.monotonic
    for number, (key, tree) in enumerate(opened.objects.items(), 1):
        await pace.let_others(run, number)
        pending = opened.pending.get(key, _NOTHING_PENDING)

        def content(key: ObjectId = key, tree: Object = tree, pending: Pending = pending) -> Content:
            return content_of(key, taken.new[key], tree, pending, clock=clock, printer=printer)

        try:
            contents.append(await pace.beside(run, tree, content, made=bool(pending.expressions.known)))
        except InputError:
            continue
    return contents


def printer_of(fingerprinter: Fingerprinter, application: str) -> Printer:
    """Keyed fingerprints of what generated objects of an Application, a uid, hold."""
    return lambda each, tree: fingerprinter.tree(application, f"generated {each.family}", suffixes.content(tree))


def content_of(
    key: ObjectId, each: Generated, tree: Object, pending: Pending, *, clock: Callable[[], float], printer: Printer
) -> Content:
    """What an opened object holds. Raises InputError."""
    wanted = {**references.find(tree), **references.find(pending.inputs)}
    # a store's value may change while the name stays: what counts here is which one it is, as text that nothing around it changes
    values = {
        reference: Secret(hashlib.sha256(str(reference).encode()).hexdigest(), str(reference)) for reference in wanted
    }
    assembled = resolve.fill(tree, values, pending.made(values, clock, clock() + _SECONDS))
    return Content(key, each, printer(each, assembled), None if wanted else suffixes.true_hash(each, assembled))


class Surroundings(Protocol):
    """What stands, for one Application."""

    async def listed(self, key: ObjectId) -> Sequence[Object]:
        """Metadata of the objects of its kind in its namespace."""
        ...

    async def live(self, key: ObjectId) -> Object | None:
        """An object as it stands."""
        ...

    def owner(self, key: ObjectId, met: Object) -> Literal["ours", "other", "before", ""]:
        """Which Application owns an object: `before` is one that is gone, or of which nothing is proven."""
        ...

    def print(self, each: Generated, tree: Object) -> str:
        """The fingerprint of what it holds."""
        ...


async def choose(record: ApplicationRecord, contents: Iterable[Content], cluster: Surroundings) -> dict[str, Standing]:
    """The name of each: one that stands with the same content, or the rendered one."""
    families = {suffixes.family(key) for key in record.standing}
    known = {(suffixes.family(key), each.content): each for key, each in record.standing.items()}
    search = _Search(record, cluster)
    chosen: dict[str, Standing] = {}
    for content in contents:
        each = content.of
        standing = known.get((each.family, content.print))
        if standing is None and each.family not in families:
            standing = await search.standing(content)
        if standing is None:
            standing = Standing(each.suffix, content.print, content.hash is None)
        known[each.family, content.print] = chosen[each.key] = standing
    return chosen


@dataclass(slots=True)
class _Search:
    """Looks for generated objects that no record knows: suffixes and metadata, by kind and namespace, and base of the name."""

    record: ApplicationRecord
    cluster: Surroundings
    known: dict[tuple[str, str], Mapping[str, Sequence[tuple[str, Object]]]] = field(
        default_factory=dict[tuple[str, str], "Mapping[str, Sequence[tuple[str, Object]]]"]
    )

    async def standing(self, content: Content) -> Standing | None:
        """The one that has this content: by its name, or of ours and of one before us, by what it holds."""
        there = [
            (key, suffix, owner)
            for suffix, met in (await self._listed(content.id)).get(content.of.base, ())
            if (owner := self.cluster.owner(key := self._id(content, suffix), met)) != "other"
        ]
        for _, suffix, _ in there:
            if Secret(suffix, "name") == content.hash:
                return self._found(content, suffix)
        for key, suffix, _ in [each for each in there if each[2]][:_MOST_READ]:
            live = await self.cluster.live(key)
            if live is not None and self.cluster.print(content.of, live) == content.print:
                return self._found(content, suffix)
        return None

    def _id(self, content: Content, suffix: str) -> ObjectId:
        return _id(content.of, suffix, content.id.namespace)

    def _found(self, content: Content, suffix: str) -> Standing:
        """Where it was applied before names were kept, workloads have a token of it, and keep that."""
        before = _is_applied(self.record, self._id(content, suffix))
        return Standing(suffix, content.print, content.hash is None or before)

    async def _listed(self, key: ObjectId) -> Mapping[str, Sequence[tuple[str, Object]]]:
        place = (key.kind, key.namespace)
        if place not in self.known:
            by_base: defaultdict[str, list[tuple[str, Object]]] = defaultdict(list)
            for item in await self.cluster.listed(key):
                name = suffixes.parts(get_text(item, "metadata", "name"))
                if name is not None and get(item, "metadata", "deletionTimestamp") is None:
                    by_base[name[0]].append((name[1], item))
            self.known[place] = by_base
        return self.known[place]


@dataclass(frozen=True, slots=True)
class _Cluster:
    """What stands, as a run reads it."""

    run: Run

    async def listed(self, key: ObjectId) -> Sequence[Object]:
        resource = (await self.run.ports.target.kinds()).of(key)
        return [] if resource is None else await polling.list_metadata(self.run, resource, key.namespace, ())

    async def live(self, key: ObjectId) -> Object | None:
        resource = (await self.run.ports.target.kinds()).of(key)
        return None if resource is None else await polling.get(self.run, resource, key.namespace, key.name)

    def owner(self, key: ObjectId, met: Object) -> Literal["ours", "other", "before", ""]:
        observer = self.run.observer
        owner = ownership.prove(met, key, observer.installation, observer.owners)
        if owner not in self.run.known_applications:
            return "before" if ownership.claimed(met) else ""
        return "ours" if owner == self.run.application_id.uid else "other"

    def print(self, each: Generated, tree: Object) -> str:
        return printer_of(self.run.fingerprints.applied, self.run.application_id.uid)(each, tree)
