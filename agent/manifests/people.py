"""People beside the agent: what their field managers own in an object of ours, and how that is taken over.

Server-side apply keeps what another manager owns, and drops what its own manager no longer applies. So what people own is first made
ours, in `metadata.managedFields`; the apply that follows then drops what Git does not have. Controllers, autoscalers, webhooks and
injectors are not people: what they own stays theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from agent.api import names
from agent.manifests import fields, ownership
from agent.manifests.builtin import LAST_APPLIED
from agent.manifests.field_trees import SELF, Kind, compare, only, show, union
from agent.manifests.lookup import Lookup
from agent.manifests.managers import is_person
from agent.values.text import MOST, excerpt
from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from agent.manifests.field_trees import Elements, Part
    from agent.values.tree import Object, Path, Tree

    Ignored: TypeAlias = Callable[[Elements, str], bool]
    """Whether a field, by its path elements, is not the agent's to take from a manager."""

ALL: Final = "…"
"""As the path of an addition: there are more than are named."""

_LONGEST = 1024
"""Characters of a path that is named."""
_TOOLS = frozenset({"argocd-controller", "flux", "helm", "helm-controller", "kustomize-controller"})
"""By Apply or, as Helm 3, by Update. What they own is taken over where an object is met for the first time, and later is theirs."""
_RESTARTED = "f:kubectl.kubernetes.io/restartedAt"
_COPY: Final = ("f:metadata", "f:annotations", f"f:{LAST_APPLIED}")
_NEVER: Final = frozenset(
    {("f:status",), *(("f:metadata", f"f:{name}") for name in ("finalizers", "ownerReferences", "generateName"))}
)


def nothing(_: Elements, __: str) -> bool:
    """`Ignored` where nothing is."""
    return False


@dataclass(frozen=True, slots=True)
class Addition:
    """A field, or an item of a list, that people's `manager` owns and the agent does not; of those that are not named, the path is `ALL`."""

    manager: str
    at: Elements

    @property
    def path(self) -> str:
        """Untrusted text, cut."""
        return show(self.at) if self.at else ALL


@dataclass(frozen=True, slots=True)
class Beside:
    """What people own of a live object: whether something that the agent owns as well, and what it does not, which is bounded."""

    shared: bool = False
    additions: tuple[Addition, ...] = ()


def are(entry: Object, managers: tuple[str, ...]) -> bool:
    """Whether an entry of `managedFields` is of people."""
    return _are(get_text(entry, "manager"), get_text(entry, "subresource"), managers) and not _is_ours(entry)


@lru_cache(maxsize=512)
def _are(manager: str, subresource: str, managers: tuple[str, ...]) -> bool:
    return is_person(manager, subresource, people=managers)


def beside(live: Object, managers: tuple[str, ...], ignored: Ignored = nothing) -> Beside:
    """What people own of a live object, by its `managedFields` alone."""
    listed = fields.entries(live)
    if not any(are(entry, managers) for entry in listed):
        return _NOTHING
    ours, shared, more = _ours(listed), False, False
    named: dict[Addition, None] = {}
    for entry in listed:
        manager = excerpt(get_text(entry, "manager"))
        for part in _parts(entry, ours, ignored) if are(entry, managers) else ():
            shared = shared or part.kind == Kind.SHARED
            if part.kind != Kind.BEYOND or (more and len(named) == MOST):
                continue
            if (addition := Addition(manager, part.at)) in named:
                continue
            if len(named) < MOST and sum(map(len, part.at)) <= _LONGEST:
                named[addition] = None
            else:
                more = True
    return Beside(shared, (*named, Addition(ALL, ())) if more else (*named,))


_NOTHING = Beside()


def has(tree: Lookup, at: Elements) -> bool:
    """Whether a manifest sets a field: an apply of it takes the field from everybody."""
    if not at:
        return False
    if tree.place(at) is not None:
        return True
    return at[0] == "f:data" and tree.place(("f:stringData", *at[1:])) is not None


def is_left(path: str, left: Collection[str]) -> bool:
    """Whether an addition is among those that are left to people."""
    return path in left or ALL in left


def _stays(part: Part, left: Collection[str]) -> bool:
    return part.kind == Kind.APART or (part.kind == Kind.BEYOND and bool(left) and is_left(str(part), left))


@dataclass(frozen=True, slots=True)
class Removed:
    """A field of people that an apply removes: its manager, its path as it is shown, and its place in the live object."""

    manager: str
    path: str
    place: Path


@dataclass(frozen=True, slots=True)
class Takeover:
    """What is taken from whom: an apply of `tree` to come, the field managers of people, and what is `left` to them.

    `first`: the object is met for the first time, and all of theirs and of other tools becomes ours.
    """

    tree: Object
    managers: tuple[str, ...]
    left: Collection[str] = ()
    first: bool = False
    ignored: Ignored = nothing

    def patch(self, live: Object) -> list[Object] | None:
        """The JSON patch that makes the agent the applier of what people own and `tree` does not set; None where there is nothing of that.

        The copy that kubectl keeps goes as well. The write to resourceVersion fails with 409 where the object changed in the meantime.
        """
        listed = fields.entries(live)
        own = next((entry for entry in listed if _is_ours(entry)), None)
        ours, given = _ours(listed), Lookup(self.tree)
        divided = [self._divide(entry, ours, given) for entry in listed if entry is not own]
        taken = [mine for mine, _ in divided if mine is not None]
        rest: list[Tree] = [others for _, others in divided if others is not None]
        patch: list[Object] = []
        if taken:
            base = own or max(taken, key=lambda entry: get_text(entry, "time"))
            merged = union(*(get_object(entry, "fieldsV1") for entry in (base, *taken)))
            applied: Tree = {
                **base,
                "manager": names.FIELD_MANAGER,
                "operation": "Apply",
                "fieldsV1": _without_copy(merged),
            }
            patch.append({"op": "replace", "path": "/metadata/managedFields", "value": [applied, *rest]})
        if self._removes_copy(live, taken):
            pointer = LAST_APPLIED.replace("~", "~0").replace("/", "~1")
            patch.append({"op": "remove", "path": f"/metadata/annotations/{pointer}"})
        version = get_text(live, "metadata", "resourceVersion")
        return [*patch, {"op": "replace", "path": "/metadata/resourceVersion", "value": version}] if patch else None

    def _divide(self, entry: Object, ours: Object, given: Lookup) -> tuple[Object | None, Object | None]:
        """Of one manager's entry what is taken over, and what stays."""
        if not (are(entry, self.managers) or (self.first and _is_tools(entry))):
            return None, entry
        mine: list[Part] = []
        stay: list[Part] = []
        for part in _parts(entry, ours, self.ignored, given):
            (stay if _stays(part, self.left) else mine).append(part)
        if not mine or not (self.first or any(part.kind == Kind.SHARED or not has(given, part.at) for part in mine)):
            return None, entry
        owned = _as_applied(get_object(entry, "fieldsV1"))
        return {**entry, "fieldsV1": only(mine, owned)}, {**entry, "fieldsV1": only(stay, owned)} if stay else None

    def _removes_copy(self, live: Object, taken: Collection[Object]) -> bool:
        if get(live, "metadata", "annotations", LAST_APPLIED) is None or is_left(show(_COPY), self.left):
            return False
        return self.first or any(get(entry, "fieldsV1", *_COPY) is not None for entry in taken)

    def removed(self, live: Object) -> tuple[Removed, ...]:
        """The fields of people that the apply removes."""
        listed = fields.entries(live)
        ours, given, there = _ours(listed), Lookup(self.tree), Lookup(live)
        return tuple(
            Removed(excerpt(get_text(entry, "manager")), str(part), place)
            for entry in listed
            if are(entry, self.managers) or (self.first and _is_tools(entry))
            for part in _parts(entry, ours, self.ignored, given)
            if not _stays(part, self.left) and not has(given, part.at)
            if (place := there.place(part.at)) is not None
        )


def keeps(live: Object, tree: Object) -> bool:
    """Whether `tree`, or an annotation that was written by hand on the live object, asks that additions stay."""
    if ownership.is_additions_kept(tree):
        return True
    ours = get(_ours(fields.entries(live)), "f:metadata", "f:annotations", f"f:{ownership.ANNOTATION_ADDITIONS}")
    return ours is None and ownership.is_additions_kept(live)


def _ours(listed: list[Object]) -> Object:
    own = next((entry for entry in listed if _is_ours(entry)), None)
    return get_object(own, "fieldsV1") if own is not None else {}


def _is_ours(entry: Object) -> bool:
    return fields.is_apply_of(entry, names.FIELD_MANAGER)


def _is_tools(entry: Object) -> bool:
    return entry.get("manager") in _TOOLS and not get_text(entry, "subresource")


def _parts(entry: Object, ours: Object, ignored: Ignored, tree: Lookup | None = None) -> Iterator[Part]:
    """By how they stand to `ours`: `tree`, where it is known, says what will be ours as well."""
    manager = get_text(entry, "manager")

    def apart(at: Elements, known: bool) -> bool:
        if ignored(at, manager):
            return True
        return not known and _is_never_taken(at) and not (tree is not None and has(tree, at))

    def divides(at: Elements) -> bool:
        return tree is not None and has(tree, at)

    return compare(_as_applied(get_object(entry, "fieldsV1")), ours, apart, divides)


def _is_never_taken(at: Elements) -> bool:
    """A restart, the words that users write on objects for the agent, and what is not for a manifest to say, unless it does."""
    if at[:1] in _NEVER or at[:2] in _NEVER:
        return True
    if len(at) < 3 or at[-3] != "f:metadata" or at[-2] not in {"f:annotations", "f:labels"}:
        return False
    return at[-1] == _RESTARTED or at[-1].startswith(f"f:{ownership.PREFIX}")


def _as_applied(owned: Object) -> Object:
    """A Secret's data where we write it: apply of stringData owns only that, and keys dropped in Git would stay in data for ever."""
    written = owned.get("f:stringData")
    if not isinstance(written, dict):
        return owned
    rest = {key: value for key, value in owned.items() if key != "f:stringData"}
    return {**rest, "f:data": union(get_object(rest, "f:data"), written)}


def _without_copy(owned: Object) -> Object:
    """Without the annotation of kubectl, which the patch removes."""
    if get(owned, *_COPY) is None:
        return owned
    metadata = get_object(owned, "f:metadata")
    kept = {key: value for key, value in get_object(metadata, "f:annotations").items() if key != _COPY[-1]}
    left = {key: value for key, value in metadata.items() if key != "f:annotations"}
    return {**owned, "f:metadata": {**left, "f:annotations": kept} if set(kept) - {SELF} else left}
