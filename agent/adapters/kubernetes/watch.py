"""List, then watch, for ever: reports every object that matches, and every one that no longer does.

A broken connection goes on from the last resource version; one that is no longer kept (410) and one that stayed silent
start over with a list, after which objects that are not in it are reported as gone. Refusals and failures back off, with
jitter, and are reported; they never end the watch.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.adapters.kubernetes import errors, paths, wire
from agent.adapters.kubernetes.errors import Call
from agent.adapters.kubernetes.objects import pages
from agent.adapters.kubernetes.session import Request
from agent.engine.ports import WatchEvent
from agent.values import tree
from agent.values.errors import AgentError, ClusterUnavailableError, ExpiredError, ForbiddenError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    import aiohttp

    from agent.adapters.kubernetes.session import Session
    from agent.adapters.kubernetes.wire import Seals
    from agent.manifests.kinds import Resource
    from agent.values.tree import Object

_LINE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pace:
    """In seconds except the objects on a `page`.

    A server sends a bookmark a minute, so two minutes of `silence` are a dead connection. A watch is renewed after
    `lifetime` to twice that. Pauses after failures grow from `first` to `longest`, to `longest_unavailable` where the
    server is just away.
    """

    silence: float = 130.0
    lifetime: float = 300.0
    first: float = 0.5
    longest: float = 30.0
    longest_unavailable: float = 5.0
    page: int = 250


class Watch:
    """One resource with one selector. `events` may be iterated once."""

    def __init__(
        self,
        session: Session,
        resource: Resource,
        seals: Seals,
        *,
        namespace: str = "",
        selector: str = "",
        pace: Pace = Pace(),
        report: Callable[[Resource, AgentError], None] | None = None,
        heard: Callable[[Resource, bool], None] | None = None,
    ) -> None:
        """`report` is called for every failure, `heard` whenever something came, and with False where the resource is not served."""
        self._session: Session = session
        self._resource: Resource = resource
        self._seals: Seals = seals
        self._namespace: str = namespace
        self._selector: str = selector
        self._pace: Pace = pace
        self._report: Callable[[Resource, AgentError], None] | None = report
        self._tell: Callable[[Resource, bool], None] = heard or _ignore
        self._known: dict[tuple[str, str], str] = {}
        self._version: str = ""
        self._heard: bool = False
        self._page: int = pace.page

    async def events(self) -> AsyncGenerator[WatchEvent]:
        """What is there, `synced`, then every change; again from `present` after each new list. Never ends, never raises AgentError."""
        failures = 0
        trouble: AgentError | None = None
        while True:
            started = time.monotonic()
            self._heard = False
            before, trouble = trouble, None
            try:
                if not self._version:
                    async with aclosing(self._list()) as listed:
                        async for event in listed:
                            yield event
                async with aclosing(self._follow()) as followed:
                    async for event in followed:
                        yield event
            except AgentError as error:
                trouble = error
            if isinstance(trouble, ForbiddenError):
                self._version = ""  # what happens in the meantime is in the list that restarts it
                yield WatchEvent("refused", {}, self._resource)
            lasted = time.monotonic() - started
            well = lasted >= self._pace.first if self._heard else trouble is None and lasted > self._pace.longest
            if type(trouble) is not type(before):
                # a server that is back, and refuses while it starts, is asked again as soon as one that never was away
                failures = 0
            failures = 0 if well else failures + 1
            if trouble is not None:
                self._learn(trouble, lasted)
            if failures and not (failures == 1 and isinstance(trouble, ExpiredError)):
                await asyncio.sleep(self._pause(failures, trouble))

    def _learn(self, trouble: AgentError, lasted: float) -> None:
        silent = isinstance(trouble, ClusterUnavailableError) and not self._heard and lasted >= self._pace.silence
        if isinstance(trouble, ExpiredError) or silent:
            # a version that the server has not reached yet, after a restore, is answered by silence
            self._version = ""
        if isinstance(trouble, NotFoundError):
            self._tell(self._resource, False)
        if self._report is not None:
            self._report(self._resource, trouble)

    def _pause(self, failures: int, trouble: AgentError | None) -> float:
        away = isinstance(trouble, ClusterUnavailableError)
        longest = self._pace.longest_unavailable if away else self._pace.longest
        return min(longest, self._pace.first * 2 ** min(failures - 1, 16)) * (0.5 + random.random() / 2)  # noqa: S311

    async def _list(self) -> AsyncGenerator[WatchEvent]:
        listed: dict[tuple[str, str], str] = {}
        version = ""
        found = pages(
            self._session,
            self._resource,
            self._seals,
            namespace=self._namespace,
            selector=self._selector,
            limit=self._page,
        )
        try:
            async with aclosing(found):
                async for page in found:
                    self._tell(self._resource, True)
                    version = page.resource_version
                    for item in page.items:
                        key, uid = _key(item)
                        listed[key] = uid
                        self._known[key] = uid
                        yield WatchEvent("present", item, self._resource)
        except ExpiredError:
            # the reader takes longer than the server keeps a list: the next one comes in one page
            self._page = 0
            raise
        for key in self._known.keys() - listed.keys():
            yield WatchEvent("gone", self._last_seen(key), self._resource)
        self._known, self._version, self._page = listed, version, self._pace.page
        yield WatchEvent("synced", {}, self._resource)

    async def _follow(self) -> AsyncGenerator[WatchEvent]:
        lifetime = int(self._pace.lifetime * (1 + random.random()))  # noqa: S311
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(max(1, lifetime)),
        }
        if self._selector:
            query["labelSelector"] = self._selector
        asked = Call("GET", "watch", kind=self._resource.plural, namespace=self._namespace)
        request = Request(asked, paths.collection(self._resource, self._namespace), query)
        async with (
            self._session.stream(request, silence=self._pace.silence) as reader,
            aclosing(_lines(reader)) as lines,
        ):
            async for text in lines:
                line = wire.line(text, self._resource, self._seals)
                if line.type == "ERROR":
                    raise errors.translate(line.status_code, line.status, asked)
                self._heard = True
                self._tell(self._resource, True)
                event = self._take(line)
                if event is not None:
                    yield event

    def _take(self, line: wire.Line) -> WatchEvent | None:
        self._version = line.resource_version or self._version
        if line.type in ("ADDED", "MODIFIED"):
            key, uid = _key(line.object)
            self._known[key] = uid
            return WatchEvent("present", line.object, self._resource)
        if line.type == "DELETED":
            self._known.pop(_key(line.object)[0], None)
            return WatchEvent("gone", line.object, self._resource)
        return None

    def _last_seen(self, key: tuple[str, str]) -> Object:
        namespace, name = key
        metadata: Object = {"name": name, "uid": self._known[key]}
        if namespace:
            metadata["namespace"] = namespace
        return {"apiVersion": self._resource.api_version, "kind": self._resource.kind, "metadata": metadata}


def _ignore(_resource: Resource, _there: bool) -> None: ...


def _key(found: Object) -> tuple[tuple[str, str], str]:
    metadata = tree.get_object(found, "metadata")
    key = (tree.get_text(metadata, "namespace"), tree.get_text(metadata, "name"))
    return key, tree.get_text(metadata, "uid")


async def _lines(reader: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    rest = bytearray()
    async for chunk in reader.iter_any():
        rest += chunk
        if len(rest) > _LINE_BYTES:
            raise ClusterUnavailableError("a watch event is larger than the agent accepts")
        if b"\n" in chunk:
            *complete, rest = rest.split(b"\n")
            for text in complete:
                if text:
                    yield bytes(text)
