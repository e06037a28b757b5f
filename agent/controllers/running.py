"""One run of one Application: what it is given, and the walk from its state to the next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING

from agent.controllers import deletion, holding
from agent.controllers.newer import Newer
from agent.engine import rounds
from agent.engine.context import Run
from agent.engine.outcome import Outcome
from agent.engine.rooms import LargerError
from agent.values.errors import AgentError, ForeignNamespaceError, LeaseLostError
from agent.values.ids import RunId
from agent.values.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.api.application import Application
    from agent.controllers.dependencies import Neighbours
    from agent.controllers.managed import Hold, ManagedApplication
    from agent.controllers.rooms import Rooms
    from agent.controllers.settings import Settings
    from agent.controllers.tasks import Shares
    from agent.controllers.watching import Watching
    from agent.engine.causes import Trigger
    from agent.engine.pipeline import Looked
    from agent.engine.ports import Ports
    from agent.values.ids import ObjectId


@dataclass(slots=True)
class Runs:
    """Makes runs. `names` has the name of each Application by its uid."""

    ports: Ports
    settings: Settings
    watching: Watching
    neighbours: Neighbours
    shares: Shares
    rooms: Rooms
    names: Mapping[str, str]
    _loaded: bool = field(default=False, init=False)

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
        if not self._loaded:
            # with the first Application: without one, an agent does without the memory that this takes
            _ = await self.ports.tasks.in_thread(lambda: import_module("agent.engine.pipeline"))
            self._loaded = True
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

    async def walk(self, managed: ManagedApplication, run: Run, pending: Callable[[], frozenset[Trigger]]) -> Outcome:
        """One run of the engine: it takes the state of the Application, and gives the next. What is newer and `pending` is not kept waiting."""
        uid = managed.id.uid
        await deletion.keep_finalizer(run.ports.home, run.application)
        self.watching.begin(uid)
        self.neighbours.begins(uid)
        try:
            outcome = await self._rounds(managed, run, pending)
        finally:
            if managed.fence is run.fence:
                self.watching.end(uid)
        run.fence.check()
        self.neighbours.ended(uid, outcome.state)
        return outcome

    async def _rounds(
        self, managed: ManagedApplication, run: Run, pending: Callable[[], frozenset[Trigger]]
    ) -> Outcome:
        """Round after round: what takes long is waited for in between, without any room, and so is Git. What stops that is the outcome, too."""
        from agent.engine import pipeline  # noqa: PLC0415  # loaded by `make`

        newer = Newer(run, pending)
        try:
            while True:
                looked = await pipeline.look(run, managed.state.outline)
                outcome = await self._with_room(managed, run, looked)
                if not outcome.between:
                    return outcome
                del looked, outcome  # what they lead to goes where others need the room
                await rounds.between(run, newer.came)
        except LeaseLostError:
            raise
        except AgentError as error:
            return run.rounds.ended(Outcome(managed.state, problems=(Problem(error),), stopped=True))
        finally:
            await newer.close()

    async def _with_room(self, managed: ManagedApplication, run: Run, looked: Looked) -> Outcome:
        """The walk with as much memory as it needs; where that is more than is known, a second time, with nothing left of what was kept."""
        try:
            return await self._walk(managed, run, looked, whole=False)
        except LargerError:
            managed.forget_manifests()
            self.rooms.leave(managed.id.uid)
        return await self._walk(managed, run, looked, whole=True)

    async def _walk(self, managed: ManagedApplication, run: Run, looked: Looked, *, whole: bool) -> Outcome:
        from agent.engine import pipeline  # noqa: PLC0415  # loaded by `make`

        async with self.rooms.room(managed, whole=whole) as room:
            run.fence.check()
            outcome = await pipeline.reconcile(replace(run, room=room), managed.state, looked)
            if managed.fence is run.fence:
                managed.state = outcome.state
                if outcome.between:
                    managed.forget_outcome()
            return outcome
