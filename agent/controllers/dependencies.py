"""Applications as they stand for one another, by name, and which of them are to look again when one stands otherwise.

All of it comes with the watch of Applications, so it is the same whichever agent runs them. Nothing polls: who waits is woken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from agent.desired import dependencies
from agent.values.errors import DependencyCycleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.controllers.managed import ManagedApplication
    from agent.desired.dependencies import Name, Neighbour
    from agent.engine.state import State
    from agent.values.ids import ApplicationId

SOON: Final = 2.0
"""Seconds after which those that still have to wait say why, where that changed, and those in a circle look whether they still are."""


class Neighbours(Mapping["Name", "Neighbour"]):
    """Every Application that the watch knows. `wake` is called with the uid of one that is to look again, and in how many seconds."""

    def __init__(self, wake: Callable[[str, float], None]) -> None:
        self._wake = wake
        self._uids: dict[Name, str] = {}
        self._known: dict[str, Neighbour] = {}
        self._dependents: dict[Name, dict[str, None]] = {}
        self._stood: dict[str, tuple[tuple[str, str, str], ...]] = {}
        """The sources, with their commits, at which each was ready and healthy last."""
        self._waiting: dict[str, None] = {}
        self._circles: dict[str, None] = {}
        self._changes = 0
        self._changed: dict[Name, int] = {}
        """The number of the last change of each that others depend on."""
        self._renamed = 0
        """That of the last change of what any of them depends on."""
        self._began: dict[str, int] = {}
        self._quiet: dict[str, None] = {}
        """Those whose status need not say which commit they looked at, since no other depends on them."""

    def __getitem__(self, name: Name) -> Neighbour:
        return self._known[self._uids[name]]

    def __iter__(self) -> Iterator[Name]:
        return iter(self._uids)

    def __len__(self) -> int:
        return len(self._uids)

    def seen(self, managed: ManagedApplication) -> None:
        """An Application came, or its spec or its status may have changed."""
        name, uid = (managed.id.namespace, managed.id.name), managed.id.uid
        before = self._known.get(uid)
        now = dependencies.neighbour(managed.application, managed.generation, managed.found)
        if now == before and self._uids.get(name) == uid:
            return
        self._uids[name], self._known[uid] = uid, now
        if now.needs != (before.needs if before else ()):
            self._depend(uid, before.needs if before else (), now.needs)
        moved = now.stands and now.sources != self._stood.get(uid)
        if now.stands:
            self._stood[uid] = now.sources
        self._notify(name, now, moved=moved)

    def gone(self, managed: ManagedApplication) -> None:
        """An Application is not there any more."""
        name, uid = (managed.id.namespace, managed.id.name), managed.id.uid
        before = self._known.pop(uid, None)
        if before is not None and before.needs:
            self._depend(uid, before.needs, ())
        for kept in (self._stood, self._waiting, self._circles, self._began, self._quiet):
            kept.pop(uid, None)
        if self._uids.get(name) == uid:
            del self._uids[name]
            self._notify(name, None, moved=False)

    def followed(self, application: ApplicationId) -> bool:
        """Whether others depend on an Application; where none does, it is woken when one comes to."""
        found = (application.namespace, application.name) in self._dependents
        self._mark(self._quiet, application.uid, found=not found)
        return found

    def begins(self, uid: str) -> None:
        """A run of an Application begins: what changes from here on it may not have seen."""
        self._began[uid] = self._changes

    def ended(self, uid: str, state: State) -> None:
        """A run ended. If the Application has to wait, it is woken from now on, and at once where something changed meanwhile."""
        began, known = self._began.pop(uid, 0), self._known.get(uid)
        self._mark(self._waiting, uid, found=state.gate.closed)
        circle = any(isinstance(each, DependencyCycleError) for each in state.gate.faults)
        self._mark(self._circles, uid, found=circle)
        if not state.gate.closed or known is None:
            return
        if (circle and self._renamed > began) or any(self._changed.get(name, 0) > began for name in known.needs):
            self._wake(uid, 0.0)
        if state.checked is None:
            return
        parts = (state.checked.own, *(each.own for _, each in state.checked.further))
        wanted = {each[:2]: part for each, part in zip(known.sources, parts, strict=False)}
        for name in known.needs:
            self._ask_to_follow(name, wanted)

    def _ask_to_follow(self, name: Name, wanted: Mapping[tuple[str, str], str]) -> None:
        """One that stands at an older commit of the same source need not wait for its interval to see the newest."""
        found = self.get(name)
        if found is not None and found.stands and found.behind(wanted) is not None:
            self._wake(self._uids[name], 0.0)

    def _notify(self, name: Name, now: Neighbour | None, *, moved: bool) -> None:
        """Wake those that wait for this one, and, where it `moved` to another commit of theirs, those that do not know of it yet."""
        dependents = self._dependents.get(name)
        if not dependents:
            return
        self._changes += 1
        self._changed[name] = self._changes
        for uid in tuple(dependents):
            follows = moved and now is not None and now.shares(self._known[uid])
            if uid in self._waiting or follows:
                self._wake(uid, 0.0 if now is not None and now.stands else SOON)

    def _depend(self, uid: str, before: tuple[Name, ...], now: tuple[Name, ...]) -> None:
        self._changes += 1
        self._renamed = self._changes
        circles, self._circles = self._circles, {}
        for each in circles:  # until they have run there is nothing to wake them for again
            self._wake(each, SOON)
        for name in before:
            self._dependents[name].pop(uid)
            if not self._dependents[name]:
                del self._dependents[name]
                self._changed.pop(name, None)
        for name in now:
            self._dependents.setdefault(name, {})[uid] = None
            if (quiet := self._uids.get(name, "")) in self._quiet:
                del self._quiet[quiet]
                self._wake(quiet, 0.0)

    @staticmethod
    def _mark(kept: dict[str, None], uid: str, *, found: bool) -> None:
        if found:
            kept[uid] = None
        else:
            kept.pop(uid, None)
