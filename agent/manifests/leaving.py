"""What an apply leaves to others of an object that stands, and what of that changes hands first.

Server-side apply removes what its manager leaves out. So a field of ours that is left to others is handed to another manager of ours,
at the value that stands there; and it is taken back before it is applied, or removed, again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.api.names import FIELD_MANAGER
from agent.manifests import elements, handover
from agent.manifests.elements import REPLICAS
from agent.manifests.field_trees import SELF
from agent.manifests.fields import is_apply_of
from agent.manifests.handover import Move
from agent.manifests.managers import RELEASED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.manifests.field_trees import Elements
    from agent.manifests.ignoring import Ignored
    from agent.values.tree import Object


@dataclass(frozen=True, slots=True)
class Leaving:
    """`kept` is what is applied, `theirs` are fields of Git that ignored managers own.

    `released` are fields of ours that are left to others by then, `reclaimed` those that are ours again.
    """

    kept: Object
    theirs: frozenset[Elements]
    released: frozenset[Elements]
    reclaimed: frozenset[Elements]

    @property
    def moves(self) -> bool:
        return bool(self.released or self.reclaimed)

    def patch(self, live: Object) -> list[Object]:
        """The JSON patch of the live object's managers; empty where nothing changes hands."""
        moves = [
            Move(self.released, lambda entry: is_apply_of(entry, FIELD_MANAGER), RELEASED),
            Move(self.reclaimed, lambda entry: is_apply_of(entry, RELEASED), FIELD_MANAGER),
        ]
        return handover.patch(live, moves)


def compute(tree: Object, live: Object, ignored: Ignored, *, replicas: bool = False) -> Leaving:
    """What becomes of a `tree`, which is without what pointers lead to, over what stands.

    With `replicas`, an autoscaler sets those that `tree` lacks.
    """
    theirs = ignored.of_managers(live)
    kept = elements.without(tree, theirs) if theirs else tree
    in_tree, in_kept = elements.standing(tree), elements.standing(kept)

    def left(owned: Iterable[Elements], *, replicas: bool) -> frozenset[Elements]:
        unapplied = frozenset(path for path in owned if not in_kept(path))
        return ignored.among(path for path in unapplied if not _goes(path, in_kept, ignored)) | {
            path for path in unapplied if (replicas and path == REPLICAS) or in_tree(path)
        }

    released = elements.applied_by(live, RELEASED)
    return Leaving(
        kept,
        frozenset(path for path in theirs if in_tree(path) and not in_kept(path)),
        left(elements.applied_by(live, FIELD_MANAGER) - theirs, replicas=replicas),
        # replicas that nothing sets any more stay: to remove them is to scale down to one
        released - left(released, replicas=True),
    )


def _goes(path: Elements, in_kept: Callable[[Elements], bool], ignored: Ignored) -> bool:
    """Whether a field is in a list's item that Git has not, or no more, and that is not ignored as such: an item without its keys is invalid."""
    items = (path[: index + 1] for index, element in enumerate(path) if element.startswith("k:"))
    return any(not in_kept(item) and not ignored.among([(*item, SELF)]) for item in items)
