"""What an Application shows: its status subresource, and events about it."""

from __future__ import annotations

import copy
import itertools
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from agent.adapters.kubernetes import paths, wire
from agent.adapters.kubernetes.objects import APPLY, call
from agent.adapters.kubernetes.resources import APPLICATION, EVENT
from agent.adapters.kubernetes.session import Request
from agent.api import names
from agent.values.text import cut, escape

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from agent.adapters.kubernetes.session import Session
    from agent.values.ids import ApplicationId
    from agent.values.tree import Object

    EventType = Literal["Normal", "Warning"]

_SERIES_SECONDS = 600.0
_REMEMBERED = 4096
_NOTE_BYTES = 1024
_CONTROLLER = "signet-gitops.dev/agent"


def micro_time(seconds: float) -> str:
    """RFC 3339 with microseconds, as `MicroTime` of apimachinery wants it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _cut(text: str, limit: int) -> str:
    raw = text.encode()
    return text if len(raw) <= limit else raw[: limit - 3].decode(errors="ignore") + "…"


@dataclass(slots=True)
class _Series:
    name: str
    first: float
    last: float
    count: int


class Statuses:
    """`instance` is the agent's identity; `now` gives Unix seconds."""

    def __init__(self, session: Session, *, instance: str, now: Callable[[], float]) -> None:
        self.check: Callable[[], None] | None = None
        self._session: Session = session
        self._instance: str = instance
        self._now: Callable[[], float] = now
        self._series: OrderedDict[tuple[str, str, str, str], _Series] = OrderedDict()
        self._numbers: itertools.count[int] = itertools.count()

    def fenced(self, check: Callable[[], None]) -> Self:
        """The same, for writes that `check` refuses by LeaseLostError."""
        other = copy.copy(self)
        other.check = check
        return other

    async def update(self, application: ApplicationId, status: Object) -> None:
        """Replace the status. StaleObjectError where another one took the name, NotFoundError where there is none."""
        # not by server-side apply: the status of a custom resource would be applied to an object of another uid too
        patch: list[Object] = [
            {"op": "test", "path": "/metadata/uid", "value": application.uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        request = Request(
            call("PATCH", "patch", APPLICATION, application.namespace, application.name),
            paths.item(APPLICATION, application.namespace, application.name, "status"),
            {"fieldManager": names.FIELD_MANAGER},
            wire.encode(patch),
            "application/json-patch+json",
            guarded=True,
            check=self.check,
        )
        await self._session.request(request)

    async def event(self, application: ApplicationId, *, kind: EventType, reason: str, message: str) -> None:
        """Repeats of the same event count up one series for as long as they come within ten minutes of one another."""
        message = cut(message, _NOTE_BYTES)
        now = self._now()
        key = (application.uid, kind, reason, message)
        series = self._series.pop(key, None)
        if series is None or now - series.last > _SERIES_SECONDS:
            unique = f"{int(now * 1e6):x}{next(self._numbers) & 0xFFFF:04x}"
            series = _Series(f"{application.name[:220]}.{unique}", now, now, 0)
        series.last, series.count = now, series.count + 1
        self._series[key] = series
        while len(self._series) > _REMEMBERED:
            self._series.popitem(last=False)
        request = Request(
            call("PATCH", "apply", EVENT, application.namespace, series.name),
            paths.item(EVENT, application.namespace, series.name),
            {"fieldManager": names.FIELD_MANAGER, "force": "true"},
            wire.encode(self._body(application, kind, reason, message, series)),
            APPLY,
            guarded=True,
            check=self.check,
        )
        await self._session.request(request)

    def _body(self, application: ApplicationId, kind: EventType, reason: str, message: str, series: _Series) -> Object:
        body: Object = {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": series.name, "namespace": application.namespace},
            "eventTime": micro_time(series.first),
            "reportingController": _CONTROLLER,
            "reportingInstance": self._instance[:128],
            "action": "Reconcile",
            "reason": reason[:128],
            "type": kind,
            "note": _cut(escape(message), _NOTE_BYTES),
            "regarding": {
                "apiVersion": APPLICATION.api_version,
                "kind": APPLICATION.kind,
                "namespace": application.namespace,
                "name": application.name,
                "uid": application.uid,
            },
        }
        if series.count > 1:
            body["series"] = {"count": series.count, "lastObservedTime": micro_time(series.last)}
        return body
