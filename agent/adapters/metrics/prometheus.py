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
    from collections.abc import Callable, Mapping

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
        self._refused: Gauge = self._gauge(
            "refused", "Applications whose spec cannot be run, by why", *_APPLICATION, "reason"
        )
        self._last_sync: Gauge = self._gauge(
            "last_sync_timestamp_seconds", "When an Application last synced in full", *_APPLICATION
        )
        self._running: Gauge = self._gauge(
            "running_since_timestamp_seconds", "When the run of an Application that is under way began", *_APPLICATION
        )
        self._ended: Gauge = self._gauge(
            "run_ended_timestamp_seconds", "When a run of an Application last ended", *_APPLICATION
        )
        self._queued: Gauge = self._gauge("queued_runs", "Runs that are due and wait for their turn", "namespace")
        self._waited: Histogram = self._histogram(
            "queue_seconds", "Wait of a run that is due for its turn", buckets=_SYNC_SECONDS
        )
        self._drift: Counter = self._counter("drift", "Live objects found to differ from their revision", "cause")
        self._heal: Histogram = self._histogram(
            "heal_seconds", "From seeing a live edit to its correction", buckets=_HEAL_SECONDS
        )
        self._api: Counter = self._counter("api_requests", "Requests to the API server", "verb", "code")
        self._git: Histogram = self._histogram("git_seconds", "Exchanges with Git servers", "operation", "result")
        self._store: Histogram = self._histogram("store_seconds", "Requests to stores", "store", "result")
        self._watched: Gauge = self._gauge(
            "watch_timestamp_seconds", "When the watch of a kind last brought something", "resource"
        )
        self._audit: Histogram = self._histogram("audit_seconds", "Writes to the audit trail", "result")
        self._audit_waiting: Gauge = self._gauge("audit_waiting_records", "Records that are not in the audit trail yet")
        self._audit_lag: Gauge = self._gauge("audit_lag_seconds", "Wait of the oldest record for the audit trail")
        self._source_bytes: Gauge = self._gauge("source_bytes", "What is kept of sources, by what it is", "kept")
        self._manifest_bytes: Gauge = self._gauge(
            "manifest_bytes", "Memory for manifests of all Applications, by what for", "state"
        )
        self._operator_file: Gauge = self._gauge(
            "operator_file_valid", "Whether the operator's file is in force; 0 while an earlier one is"
        )
        self._known: dict[tuple[Gauge, str, str], frozenset[str]] = {}
        self._times: dict[str, dict[str, set[Gauge]]] = {}
        self._queues: dict[str, int] = {}

    def operator_file(self, *, valid: bool) -> None:
        """The operator's file was read."""
        self._operator_file.set(valid)

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

    def refused(self, application: ApplicationId, reason: str) -> None:
        """The spec of an Application cannot be run for this reason, the name of an error class; empty where it can be."""
        self._set(self._refused, application, {reason: 1} if reason else {})

    def synced(self, application: ApplicationId, unix_seconds: float) -> None:
        """An Application is applied in full."""
        self._at(self._last_sync, application, unix_seconds)

    def queued(self, namespace: str, runs: int) -> None:
        """So many runs of a namespace are due and wait. Its series stays as long as it has Applications that ran."""
        self._queues[namespace] = runs
        self._queued.labels(namespace).set(runs)
        self._tidy(namespace)

    def waited(self, seconds: float) -> None:
        """A run that was due has its turn."""
        self._waited.observe(seconds)

    def began(self, application: ApplicationId, unix_seconds: float) -> None:
        """A run of an Application begins."""
        self._at(self._running, application, unix_seconds)
        self.queued(application.namespace, self._queues.get(application.namespace, 0))

    def ended(self, application: ApplicationId, unix_seconds: float) -> None:
        """The run of an Application ended, however."""
        self._times.get(application.namespace, {}).get(application.name, set[Gauge]()).discard(self._running)
        self._running.remove(application.namespace, application.name)
        self._at(self._ended, application, unix_seconds)

    def forget(self, application: ApplicationId) -> None:
        """An Application is gone."""
        self.objects(application, {})
        self.held(application, {})
        self.waits(application, {})
        self.refused(application, "")
        known = self._times.get(application.namespace, {})
        for gauge in known.pop(application.name, ()):
            gauge.remove(application.namespace, application.name)
        if not known:
            self._times.pop(application.namespace, None)
        self._tidy(application.namespace)

    def api_request(self, verb: str, code: int) -> None:
        """One answer of the API server; code 0 is none."""
        self._api.labels(verb, str(code)).inc()

    def git_exchange(self, operation: str, answered: bool, seconds: float) -> None:
        """One exchange with a Git server, with the wait for a free git: `ask` for what a ref names, or `fetch`."""
        self._git.labels(operation, _RESULTS[answered]).observe(seconds)

    def store_request(self, store: str, answered: bool, seconds: float) -> None:
        """One request to a store of the operator's file. A refusal is an answer."""
        self._store.labels(store, _RESULTS[answered]).observe(seconds)

    def watched(self, resource: str, unix_seconds: float | None) -> None:
        """The watch of a kind brought something, if only a bookmark; None: the kind is not served any more."""
        if unix_seconds is not None:
            self._watched.labels(resource).set(unix_seconds)
        else:
            self._watched.remove(resource)

    def watches_ended(self) -> None:
        """No kind is watched any more."""
        self._watched.clear()

    def audit_written(self, done: bool, seconds: float) -> None:
        """Records reached the audit trail, or could not be written, so long after they were made."""
        self._audit.labels("written" if done else "failed").observe(seconds)

    def audit_backlog(self, measure: Callable[[], tuple[int, float]]) -> None:
        """Have `measure` asked at each scrape for the records that are not in the audit trail yet, and the wait of the oldest in seconds."""
        self._audit_waiting.set_function(lambda: measure()[0])
        self._audit_lag.set_function(lambda: measure()[1])

    def kept(self, sizes: Mapping[str, int]) -> None:
        """Bytes of what is kept of sources: `mirrors` and `artifacts` on disk, `trees` of commits in memory."""
        for kept, size in sizes.items():
            self._source_bytes.labels(kept).set(size)

    def manifests(self, measure: Callable[[], Mapping[str, int]]) -> None:
        """Have `measure` asked at each scrape for bytes that manifests take: of Applications that are `running`, `kept` of others, the `limit`."""
        for state in ("running", "kept", "limit"):
            self._manifest_bytes.labels(state).set_function(lambda state=state: measure()[state])

    def exposition(self) -> bytes:
        """OpenMetrics text, of CONTENT_TYPE."""
        return bytes(generate_latest(self.registry))  # pyright: ignore[reportUnknownArgumentType]

    def _at(self, gauge: Gauge, application: ApplicationId, unix_seconds: float) -> None:
        gauge.labels(application.namespace, application.name).set(unix_seconds)
        self._times.setdefault(application.namespace, {}).setdefault(application.name, set()).add(gauge)

    def _tidy(self, namespace: str) -> None:
        """A namespace where nothing waits, and of which no Application is known, has no queue."""
        if self._queues.get(namespace) == 0 and namespace not in self._times:
            del self._queues[namespace]
            self._queued.remove(namespace)

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
