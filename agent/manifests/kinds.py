"""Which kinds a cluster serves, by discovery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.values.ids import ObjectId


@dataclass(frozen=True, slots=True)
class Resource:
    """One served resource: `apps/v1 Deployment` is `deployments`, namespaced. `preferred` marks the group's preferred version."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()
    preferred: bool = True

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


class Kinds:
    """An immutable snapshot of discovery.

    `unavailable` names groups whose discovery failed: a kind that is missing there is not known to be absent.
    """

    __slots__ = ("_by_group_kind", "_by_version", "unavailable")

    def __init__(self, resources: Iterable[Resource], unavailable: Iterable[str] = ()) -> None:
        self._by_version: Mapping[tuple[str, str], Resource] = {(r.api_version, r.kind): r for r in resources}
        by_group_kind: dict[tuple[str, str], Resource] = {}
        for resource in self._by_version.values():
            key = (resource.group, resource.kind)
            if key not in by_group_kind or resource.preferred:
                by_group_kind[key] = resource
        self._by_group_kind: Mapping[tuple[str, str], Resource] = by_group_kind
        self.unavailable: frozenset[str] = frozenset(unavailable)

    def served(self, api_version: str, kind: str) -> Resource | None:
        """The resource at exactly this version."""
        return self._by_version.get((api_version, kind))

    def served_names(self) -> frozenset[str]:
        """Everything that is served, as templates of charts ask for it: `v1`, `v1/Pod`, `apps/v1`, `apps/v1/Deployment`."""
        return frozenset(name for version, kind in self._by_version for name in (version, f"{version}/{kind}"))

    def preferred(self) -> Iterable[Resource]:
        """Every kind once, at its group's preferred version."""
        return self._by_group_kind.values()

    def of(self, object_id: ObjectId) -> Resource | None:
        """The resource of an object's group and kind at the preferred version."""
        return self._by_group_kind.get((object_id.group, object_id.kind))
