"""Which Applications follow which branch or tag, and what a push to it starts, on whichever agent runs them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from agent.api import names, registries, signatures
from agent.api.sources import TAGS
from agent.controllers.deletion import APPLICATIONS
from agent.controllers.reporting import log_error
from agent.values.errors import AgentError
from agent.values.patterns import name_matches
from agent.values.tree import get_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from agent.api.application import Application
    from agent.api.charts import ChartSource
    from agent.controllers.managed import ManagedApplication
    from agent.engine.ports import ClockPort, HomePort
    from agent.values.tree import Object

_Followed: TypeAlias = "tuple[str, str]"
"""A repository, as `host/path`, and a ref of it."""

SPACING: Final = 1.0
"""Seconds between two times that one ref starts runs."""
_MOST_REMEMBERED: Final = 1024
_AT_A_TIME: Final = 100
"""Applications that are woken before others have the loop."""


@dataclass(frozen=True, slots=True)
class Push:
    """Refs of a repository that moved. It has several `repositories` where its address is written in several ways."""

    repositories: frozenset[str]
    refs: frozenset[str]


class Followers:
    """The Applications by what they follow. A pinned commit follows nothing."""

    def __init__(self) -> None:
        self._uids: dict[_Followed, dict[str, None]] = {}
        self._followed: dict[str, frozenset[_Followed]] = {}

    def seen(self, uid: str, application: Application | None) -> None:
        """An Application came, or its spec may have changed; None: it is gone, or not valid."""
        followed = _followed(application)
        before = self._followed.pop(uid, frozenset())
        for each in before - followed:
            del self._uids[each][uid]
            if not self._uids[each]:
                del self._uids[each]
        for each in followed - before:
            self._uids.setdefault(each, {})[uid] = None
        if followed:
            self._followed[uid] = followed

    def of(self, repository: str, ref: str) -> tuple[str, ...]:
        return tuple(self._uids.get((repository, ref), ()))


def _followed(application: Application | None) -> frozenset[_Followed]:
    if application is None:
        return frozenset()
    sources = application.spec.all_sources.values()
    found = [
        (signatures.plain(each.address), TAGS if each.semver is not None else each.ref)
        for each in sources
        if each.commit is None and each.oci is None
    ]
    artifacts = [(each.oci.url, each.oci.tag) for each in sources if each.oci is not None and each.oci.digest is None]
    chart = _chart(application)
    if chart is not None and chart.oci is not None and chart.digest is None:
        artifacts.append((chart.oci, None))
    found += [(registries.plain(url), f"refs/tags/{tag}" if tag else TAGS) for url, tag in artifacts]
    return frozenset((repository, ref) for repository, ref in found if repository is not None)


def _chart(application: Application) -> ChartSource | None:
    render = application.spec.render
    return render.helm.chart if render is not None and render.helm is not None else None


class Pushes:
    """Starts what follows a ref. `wake` is called with the uid of an Application that is `mine`; the agents that run others learn of it."""

    def __init__(
        self,
        home: HomePort,
        clock: ClockPort,
        managed: Mapping[str, ManagedApplication],
        mine: Callable[[str], bool],
        wake: Callable[[str], None],
    ) -> None:
        self.followers: Final = Followers()
        self._home: Final = home
        self._clock: Final = clock
        self._managed: Final = managed
        self._mine: Final = mine
        self._wake: Final = wake
        self._last: Final[OrderedDict[object, float]] = OrderedDict()
        self._coming: Final[set[object]] = set()

    async def take(self, push: Push, namespaces: Collection[str]) -> None:
        """A push came, by a webhook that may start Applications of these namespaces."""
        refs = {*push.refs, *(TAGS for ref in push.refs if ref.startswith("refs/tags/"))}
        for repository in push.repositories:
            for ref in refs:
                if self.followers.of(repository, ref):
                    await self._in_time(repository, ref, tuple(namespaces))

    async def _in_time(self, repository: str, ref: str, namespaces: tuple[str, ...]) -> None:
        """At most once a second; what comes in between is one time more at its end."""
        key = (repository, ref, namespaces)
        if key in self._coming:
            return
        wait = self._last.pop(key, -SPACING) + SPACING - self._clock.monotonic()
        if wait > 0:
            self._coming.add(key)
            try:
                await asyncio.sleep(wait)
            finally:
                self._coming.discard(key)
        self._last[key] = self._clock.monotonic()
        if len(self._last) > _MOST_REMEMBERED:
            self._last.popitem(last=False)
        await self._start(self.followers.of(repository, ref), namespaces)

    async def _start(self, uids: Collection[str], namespaces: Collection[str]) -> None:
        elsewhere: dict[tuple[str, str, str], ManagedApplication] = {}
        for number, uid in enumerate(uids, 1):
            managed = self._managed.get(uid)
            if managed is None or managed.application is None:
                continue
            if not any(name_matches(each, managed.id.namespace) for each in namespaces):
                continue
            if self._mine(uid):
                self._wake(uid)
            elif not managed.application.spec.suspend:
                elsewhere.setdefault(_shared(managed, managed.application), managed)
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)
        for managed in elsewhere.values():
            await self._notify(managed)

    async def _notify(self, managed: ManagedApplication) -> None:
        """The agent that runs an Application sees its annotation; those that share its mirror there are started by what it finds."""
        if managed.application is None:
            return
        at = str(int(self._clock.now() * 1000))
        path = f"/metadata/annotations/{names.ANNOTATION_PUSHED_AT.replace('/', '~1')}"
        patch: list[Object] = [{"op": "add", "path": path, "value": at}]
        if not managed.application.annotations:
            version = managed.application.resource_version
            patch = [
                {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
                {"op": "add", "path": "/metadata/annotations", "value": {names.ANNOTATION_PUSHED_AT: at}},
            ]
        try:
            await self._home.json_patch(APPLICATIONS, managed.id.namespace, managed.id.name, patch)
        except AgentError as error:
            log_error("the agent that runs an Application did not learn of a push", error, managed.id)


def _shared(managed: ManagedApplication, application: Application) -> tuple[str, str, str]:
    """What Applications that share a mirror have in common: the agent, and the Secret of the credential. Of a registry nothing is shared."""
    chart = _chart(application)
    if any(each.oci is not None for each in application.spec.all_sources.values()) or (chart and chart.oci):
        return get_text(managed.found, "agent"), managed.id.namespace, managed.id.uid
    logins = [each.login for each in application.spec.all_sources.values()]
    secret = " ".join(each.secret_name for each in logins if each is not None)
    return get_text(managed.found, "agent"), managed.id.namespace if secret else "", secret
