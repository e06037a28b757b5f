"""`TargetPort` and `HomePort` by real apiservers: the parts of this package behind two faces."""

from __future__ import annotations

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


class _Watched(Objects):
    """`seals` says which live objects hold secrets, `report` is told of every failure of a watch."""

    def __init__(
        self,
        session: Session,
        *,
        seals: Seals,
        pace: Pace = Pace(),  # noqa: B008  # frozen
        report: Callable[[Resource, AgentError], None] | None = None,
    ) -> None:
        super().__init__(session, seals)
        self._pace: Pace = pace
        self._report: Callable[[Resource, AgentError], None] | None = report

    def watch(self, resource: Resource, *, namespace: str = "", selector: str = "") -> AsyncGenerator[WatchEvent]:
        """Close the generator (`contextlib.aclosing`) to end the watch at once."""
        watch = Watch(
            self._session,
            resource,
            self._seals,
            namespace=namespace,
            selector=selector,
            pace=self._pace,
            report=self._report,
        )
        return watch.events()


class Cluster(_Watched):
    """A cluster that objects are applied to."""

    def __init__(
        self,
        session: Session,
        *,
        seals: Seals,
        pace: Pace = Pace(),  # noqa: B008  # frozen
        report: Callable[[Resource, AgentError], None] | None = None,
    ) -> None:
        super().__init__(session, seals=seals, pace=pace, report=report)
        self._discovery: Discovery = Discovery(session)
        self._schemas: Schemas = Schemas(self)

    @property
    def cluster(self) -> ClusterId:
        return IN_CLUSTER

    async def kinds(self, *, fresh: bool = False) -> Kinds:
        kinds = await self._discovery.kinds(fresh=fresh)
        self._schemas.renew(kinds)
        return kinds

    async def has_conditions(self, resource: Resource) -> bool:
        return await self._schemas.has_conditions(resource)


class Home(_Watched):
    """The cluster that the agent lives in. `instance` names the agent in events, `now` gives Unix seconds."""

    def __init__(
        self,
        session: Session,
        *,
        seals: Seals,
        instance: str,
        now: Callable[[], float],
        pace: Pace = Pace(),  # noqa: B008  # frozen
        report: Callable[[Resource, AgentError], None] | None = None,
    ) -> None:
        super().__init__(session, seals=seals, pace=pace, report=report)
        self.statuses: Statuses = Statuses(session, instance=instance, now=now)

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
