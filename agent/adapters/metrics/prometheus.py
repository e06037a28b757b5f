"""The engine's MetricsPort and the counters of the other adapters.

Label values come from closed sets (causes, results, verbs, error classes) or are names of Applications; a metric that is
labelled by Application is removed when the Application is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest  # pyright: ignore[reportUnknownVariableType]

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.ids import ApplicationId

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_SYNC_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_HEAL_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30)
_EXCHANGE_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_RESULTS: Final = {True: "answered", False: "failed"}
_APPLICATION: Final = ("namespace", "application")


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric under the name of its samples; those of a histogram add `_bucket`, `_count` and `_sum`."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    text: str
    labels: tuple[str, ...]


class Metrics:
    """All counters of one agent, and their definitions in `definitions`, of which alerts and dashboard are made."""

    def __init__(self, *, version: str) -> None:
        self.registry: CollectorRegistry = CollectorRegistry()
        self.definitions: list[Definition] = [Definition("signet_agent_info", "info", "The agent", ("version",))]
        Info("signet_agent", "The agent", registry=self.registry).info({"version": version})
        self._reconciliations: Counter = self._counter(
            "reconciliations", "Reconciliations that ended", "cause", "result"
        )
        self._duration: Histogram = self._histogram(
            "reconciliation_seconds", "Duration of a reconciliation", buckets=_SYNC_SECONDS
        )
        self._objects: Gauge = self._gauge("objects", "Objects of an Application by state", *_APPLICATION, "state")
        self._held: Gauge = self._gauge(
            "held_objects", "Objects of an Application that are held, by why", *_APPLICATION, "reason"
        )
        self._waits: Gauge = self._gauge("waits", "What an Application waits for, by why", *_APPLICATION, "reason")
        self._last_sync: Gauge = self._gauge(
            "last_sync_timestamp_seconds", "When an Application last synced in full", *_APPLICATION
        )
        self._drift: Counter = self._counter("drift", "Live objects found to differ from their revision", "cause")
        self._heal: Histogram = self._histogram(
            "heal_seconds", "From seeing a live edit to its correction", buckets=_HEAL_SECONDS
        )
        self._api: Counter = self._counter("api_requests", "Requests to the API server", "verb", "code")
        self._git: Histogram = self._histogram("git_seconds", "Exchanges with Git servers", "operation", "result")
        self._store: Histogram = self._histogram("store_seconds", "Requests to stores", "store", "result")
        self._known: dict[tuple[Gauge, str, str], frozenset[str]] = {}
        self._synced: set[tuple[str, str]] = set()

    def reconciled(self, cause: str, result: str, seconds: float) -> None:
        """One reconciliation ended."""
        self._reconciliations.labels(cause, result).inc()
        self._duration.observe(seconds)

    def drifted(self, cause: str) -> None:
        """One live object was found to differ."""
        self._drift.labels(cause).inc()

    def healed(self, seconds: float) -> None:
        """One live edit was corrected, `seconds` after it was seen."""
        self._heal.observe(seconds)

    def objects(self, application: ApplicationId, states: Mapping[str, int]) -> None:
        """How many objects of an Application are in each state (`applied`, `held`, `failed`, …); states not given are none."""
        self._set(self._objects, application, states)

    def held(self, application: ApplicationId, reasons: Mapping[str, int]) -> None:
        """How many objects of an Application are held for each reason, the name of an error class; reasons not given are none."""
        self._set(self._held, application, reasons)

    def waits(self, application: ApplicationId, reasons: Mapping[str, int]) -> None:
        """Why an Application does not apply its newest commit, though nothing is wrong with it, and how often for each reason."""
        self._set(self._waits, application, reasons)

    def synced(self, application: ApplicationId, unix_seconds: float) -> None:
        """An Application is applied in full."""
        self._last_sync.labels(application.namespace, application.name).set(unix_seconds)
        self._synced.add((application.namespace, application.name))

    def forget(self, application: ApplicationId) -> None:
        """An Application is gone."""
        self.objects(application, {})
        self.held(application, {})
        self.waits(application, {})
        key = (application.namespace, application.name)
        if key in self._synced:
            self._synced.discard(key)
            self._last_sync.remove(*key)

    def api_request(self, verb: str, code: int) -> None:
        """One answer of the API server; code 0 is none."""
        self._api.labels(verb, str(code)).inc()

    def git_exchange(self, operation: str, answered: bool, seconds: float) -> None:
        """One exchange with a Git server, with the wait for a free git: `ask` for what a ref names, or `fetch`."""
        self._git.labels(operation, _RESULTS[answered]).observe(seconds)

    def store_request(self, store: str, answered: bool, seconds: float) -> None:
        """One request to a store of the operator's file. A refusal is an answer."""
        self._store.labels(store, _RESULTS[answered]).observe(seconds)

    def exposition(self) -> bytes:
        """OpenMetrics text, of CONTENT_TYPE."""
        return bytes(generate_latest(self.registry))  # pyright: ignore[reportUnknownArgumentType]

    def _set(self, gauge: Gauge, application: ApplicationId, values: Mapping[str, int]) -> None:
        """The values of one Application by the gauge's last label; those that are not given any more are removed."""
        key = (gauge, application.namespace, application.name)
        for value in self._known.pop(key, frozenset()) - values.keys():
            gauge.remove(*key[1:], value)
        for value, count in values.items():
            gauge.labels(*key[1:], value).set(count)
        if values:
            self._known[key] = frozenset(values)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        self.definitions.append(Definition(f"signet_{name}_total", "counter", text, labels))
        return Counter(f"signet_{name}", text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, *labels: str, buckets: tuple[float, ...] = _EXCHANGE_SECONDS
    ) -> Histogram:
        self.definitions.append(Definition(f"signet_{name}", "histogram", text, labels))
        return Histogram(f"signet_{name}", text, labels, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        self.definitions.append(Definition(f"signet_{name}", "gauge", text, labels))
        return Gauge(f"signet_{name}", text, labels, registry=self.registry)
