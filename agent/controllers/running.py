"""One run of one Application: what it is given, and the walk from its state to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.controllers import deletion, holding
from agent.engine import pipeline
from agent.engine.context import Run
from agent.values.errors import ForeignNamespaceError
from agent.values.ids import RunId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.api.application import Application
    from agent.controllers.dependencies import Neighbours
    from agent.controllers.managed import Hold, ManagedApplication
    from agent.controllers.settings import Settings
    from agent.controllers.tasks import Shares
    from agent.controllers.watching import Watching
    from agent.engine.causes import Trigger
    from agent.engine.pipeline import Outcome
    from agent.engine.ports import Ports
    from agent.values.ids import ObjectId


@dataclass(frozen=True, slots=True)
class Runs:
    """Makes runs. `names` has the name of each Application by its uid."""

    ports: Ports
    settings: Settings
    watching: Watching
    neighbours: Neighbours
    shares: Shares
    names: Mapping[str, str]

    async def make(
        self,
        managed: ManagedApplication,
        application: Application,
        hold: Hold,
        triggers: frozenset[Trigger],
        *,
        rotated: frozenset[ObjectId],
        since: float,
    ) -> Run:
        """A run under a hold, which became due at this second of the monotonic clock. Raises ForeignNamespaceError."""
        settings = self.settings
        try:
            grants = settings.grants(application)
        except ForeignNamespaceError:
            await deletion.let_go(self.ports.home, managed.id)
            raise
        return Run(
            RunId(settings.random_bytes(8).hex()),
            application,
            triggers,
            holding.fenced(self.shares.ports(self.ports, application.id), hold.fence),
            settings.observer,
            settings.fingerprints,
            grants,
            settings.limits,
            self.names,
            hold.fence,
            hold.ledger,
            rotated,
            insisted=managed.insisted,
            neighbours=self.neighbours,
            since=since,
        )

    async def walk(self, managed: ManagedApplication, run: Run) -> Outcome:
        """One run of the engine: it takes the state of the Application, and gives the next."""
        uid = managed.id.uid
        await deletion.keep_finalizer(run.ports.home, run.application)
        self.watching.begin(uid)
        self.neighbours.begins(uid)
        try:
            outcome = await pipeline.reconcile(run, managed.state)
        finally:
            if managed.fence is run.fence:
                self.watching.end(uid)
        run.fence.check()
        managed.state = outcome.state
        self.neighbours.ended(uid, outcome.state)
        return outcome
