"""`TargetPort` and `HomePort` by real apiservers: the parts of this package behind two faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agent.adapters.kubernetes.discovery import Discovery
from agent.adapters.kubernetes.objects import Objects
from agent.adapters.kubernetes.schemas import Schemas
from agent.adapters.kubernetes.status import Statuses
from agent.adapters.kubernetes.watch import Pace, Watch
from agent.values.ids import IN_CLUSTER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from typing import Self

    from agent.adapters.kubernetes.session import Session
    from agent.adapters.kubernetes.wire import Seals
    from agent.engine.ports import WatchEvent
    from agent.manifests.kinds import Kinds, Resource
    from agent.values.errors import AgentError
    from agent.values.ids import ApplicationId, ClusterId
    from agent.values.tree import Object


@dataclass(frozen=True, slots=True)
class Access:
    """How a cluster is reached. `seals` says which live objects hold secrets, `report` and `heard` are those of each watch."""

    session: Session
    seals: Seals
    pace: Pace = Pace()  # noqa: RUF009  # frozen
    report: Callable[[Resource, AgentError], None] | None = None
    heard: Callable[[Resource, bool], None] | None = None


class _Watched(Objects):
    def __init__(self, access: Access) -> None:
        super().__init__(access.session, access.seals)
        self._access: Access = access

    def watch(self, resource: Resource, *, namespace: str = "", selector: str = "") -> AsyncGenerator[WatchEvent]:
        """Close the generator (`contextlib.aclosing`) to end the watch at once."""
        access = self._access
        watch = Watch(
            access.session,
            resource,
            access.seals,
            namespace=namespace,
            selector=selector,
            pace=access.pace,
            report=access.report,
            heard=access.heard,
        )
        return watch.events()


class Cluster(_Watched):
    """A cluster that objects are applied to."""

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self._discovery: Discovery = Discovery(access.session)
        self._schemas: Schemas = Schemas(self)

    @property
    def cluster(self) -> ClusterId:
        return IN_CLUSTER

    async def kinds(self, *, fresh: bool = False) -> Kinds:
        kinds = await self._discovery.kinds(fresh=fresh)
        self._schemas.renew(kinds)
        return kinds

    async def version(self) -> str:
        return await self._discovery.version()

    async def has_conditions(self, resource: Resource) -> bool:
        return await self._schemas.has_conditions(resource)


class Home(_Watched):
    """The cluster that the agent lives in. `instance` names the agent in events, `now` gives Unix seconds."""

    def __init__(self, access: Access, *, instance: str, now: Callable[[], float]) -> None:
        super().__init__(access)
        self.statuses: Statuses = Statuses(access.session, instance=instance, now=now)

    def fenced(self, check: Callable[[], None]) -> Self:
        other = super().fenced(check)
        other.statuses = self.statuses.fenced(check)
        return other

    async def update_status(self, application: ApplicationId, status: Object) -> None:
        await self.statuses.update(application, status)

    async def event(
        self, application: ApplicationId, *, kind: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        await self.statuses.event(application, kind=kind, reason=reason, message=message)
