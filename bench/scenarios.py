"""What is measured of the agent, in the order of a day: commits, nothing, live edits, a restart."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bench import counters, edits, manifests
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.manifests import Object
    from testbed.installation import Installation

_REQUESTED_AT = "signet-gitops.dev/requested-at"
_OURS = re.compile(r"^signet-gitops\.dev/")


@dataclass(frozen=True, slots=True)
class Measured:
    """One scenario: seconds on the clock, what the agent's process cost, and the requests that it made.

    `agent_calls` are by verb as the agent counts them, `server_calls` by verb and resource as the API server does.
    `parts` are further numbers, in seconds or as their names say.
    """

    seconds: float
    cpu: float
    peak_mib: float
    agent_calls: Mapping[str, int]
    server_calls: Mapping[str, int]
    server_cpu: float
    parts: Mapping[str, float] = field(default_factory=dict[str, float])


class Meter:
    """Counts from its making to `read`."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        process = installation.agent.process
        assert process is not None
        self._pid = process.pid
        self._server = installation.controlplane.apiserver.pid
        counters.forget_peak(self._pid)
        self._before = self._now()

    def _now(self) -> tuple[Counter[str], Counter[str], float, float]:
        return (
            counters.agent_calls(self._installation.agent.metrics()),
            counters.server_calls(self._installation.controlplane),
            counters.usage(self._pid).cpu,
            counters.usage(self._server).cpu,
        )

    def read(self, seconds: float, *, without: Mapping[str, int] | None = None, **parts: float) -> Measured:
        """Up to now. `without` are the benchmark's own requests, as the API server counts them."""
        now = self._now()
        now[1].subtract(without or {})
        return Measured(
            seconds,
            now[2] - self._before[2],
            counters.usage(self._pid).peak_mib,
            dict(now[0] - self._before[0]),
            {key: value - self._before[1][key] for key, value in now[1].items() if value > self._before[1][key]},
            now[3] - self._before[3],
            parts,
        )


class Bench:
    """One agent, one tenant, and the objects that it is given."""

    def __init__(self, installation: Installation, services: Sequence[list[Object]]) -> None:
        self.installation = installation
        self.cluster = installation.controlplane
        self.services = services
        self.tenant = installation.tenant("bench")
        self.objects = [manifests.in_namespace(obj, self.tenant.namespace) for service in services for obj in service]
        self.token = self.cluster.admin_token

    def prepare(self) -> None:
        """An Application that is Ready on a commit with one object, so that nothing but the next commit is new."""
        first = {"metadata": {"name": "first"}, "apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}
        _ = self.tenant.deploy({"first.yaml": manifests.dump([first])}, interval="10s")
        counters.wait_at_rest(self.cluster)

    def sync(self, files: Mapping[str, str]) -> Measured:
        """Commit, ask for a run, and wait until the status says that the commit is applied in full."""
        sha = self.tenant.commit(files)
        audited = len(self.installation.agent.audit())
        meter = Meter(self.installation)
        wall, began = time.time(), time.monotonic()
        _ = self.tenant.request()
        _ = self.tenant.application.wait("Ready", "True", revision=sha, seconds=300)
        seconds = time.monotonic() - began
        asked = {"PATCH applications": 1, "GET applications": 1_000_000}
        return meter.read(seconds, without=asked, **self._stages(audited, wall, seconds))

    def _stages(self, audited: int, wall: float, seconds: float) -> dict[str, float]:
        """Where the time went, by the audit trail: until the first intent, until the last outcome, until the status."""
        times: dict[str, list[float]] = {"intent": [], "outcome": []}
        for record in self.installation.agent.audit()[audited:]:
            phase = str(record.get("phase"))
            if phase in times:
                times[phase].append(datetime.fromisoformat(str(record["time"])).timestamp() - wall)
        if not times["intent"] or not times["outcome"]:
            return {}
        first, last = min(times["intent"]), max(times["outcome"])
        return {"reading": first, "applying": last - first, "finishing": seconds - last}

    def at_rest(self, runs: int) -> Measured:
        """Runs that find nothing new; `seconds` is the mean of a run."""
        counters.wait_at_rest(self.cluster)
        agent = self.installation.agent
        done = counters.total(agent.metrics(), "signet_reconciliations_total")
        meter = Meter(self.installation)
        before = agent.metrics()
        began = time.monotonic()

        def ended() -> bool:
            return counters.total(agent.metrics(), "signet_reconciliations_total") >= done + runs

        _ = wait_until(ended, 30.0 * runs, "runs that find nothing new", interval=0.25)
        took = time.monotonic() - began
        after = agent.metrics()
        name = "signet_reconciliation_seconds"
        count = counters.total(after, f"{name}_count") - counters.total(before, f"{name}_count")
        spent = counters.total(after, f"{name}_sum") - counters.total(before, f"{name}_sum")
        return meter.read(spent / count, runs=count, over=took)

    def heal(self, count: int, *, per_second: float) -> tuple[Measured, list[float]]:
        """Edits of live objects; the seconds of each from sending it to seeing it put right."""
        counters.wait_at_rest(self.cluster)
        targets = edits.edits(self.objects, count)
        meter = Meter(self.installation)
        began = time.monotonic()
        times = edits.heal_times(self.cluster, self.token, self.tenant.namespace, targets, per_second=per_second)
        asked = Counter(f"PATCH {manifests.PLURALS[obj['kind']]}" for obj in targets)
        asked.update(f"LIST {plural}" for plural in manifests.PLURALS.values())
        return meter.read(time.monotonic() - began, without=asked), times

    def restart(self) -> Measured:
        """From starting the process to the end of its first run, which finds that all stands as it should."""
        agent = self.installation.agent
        agent.stop()
        counters.wait_at_rest(self.cluster)
        calls = counters.server_calls(self.cluster)
        server = counters.usage(self.cluster.apiserver.pid).cpu
        began = time.monotonic()
        process = agent.start()
        ready = time.monotonic() - began

        def checked() -> bool:
            return counters.total(agent.metrics(), "signet_reconciliations_total", result="succeeded") >= 1

        _ = wait_until(checked, 120, "the first run of a restarted agent", interval=0.02)
        seconds = time.monotonic() - began
        cost = counters.usage(process.pid)
        text = agent.metrics()
        seen = counters.server_calls(self.cluster) - calls
        run = counters.total(text, "signet_reconciliation_seconds_sum")
        return Measured(
            seconds,
            cost.cpu,
            cost.peak_mib,
            dict(counters.agent_calls(text)),
            dict(seen),
            counters.usage(self.cluster.apiserver.pid).cpu - server,
            {"ready": ready, "first_run": run},
        )

    def finished(self) -> list[Object]:
        """The objects as the agent sends them, with the labels and annotations that it adds under other names.

        They are in the agent's order: what controllers make of Deployments takes the API server's time from what comes
        after them.
        """
        live = {kind: self._live(kind) for kind in manifests.KINDS}
        ordered = sorted(self.objects, key=lambda obj: manifests.KINDS.index(obj["kind"]))
        return [_stamped(obj, live[obj["kind"]][obj["metadata"]["name"]]) for obj in ordered]

    def _live(self, kind: str) -> dict[str, Object]:
        items = self.cluster.get(manifests.collection(kind, self.tenant.namespace))["items"]
        return {item["metadata"]["name"]: item for item in items}

    def close(self) -> None:
        """Take the Application, its record and its namespace away, so that the next one finds an empty cluster."""
        uid = self.cluster.get(self.tenant.application.path)["metadata"]["uid"]
        _ = self.cluster.delete(self.tenant.application.path)
        self.installation.wait_forgotten(uid)
        self.installation.agent.stop()
        delete_namespace(self.installation, self.tenant.namespace)


def delete_namespace(installation: Installation, namespace: str) -> None:
    """Delete a namespace with all in it, and wait."""
    cluster = installation.controlplane
    path = f"/api/v1/namespaces/{namespace}"
    _ = cluster.delete(path)
    _ = wait_until(lambda: cluster.request("GET", path)[0] == 404, 300, f"namespace {namespace} is gone", interval=0.5)
    counters.wait_at_rest(cluster)


def _stamped(obj: Object, live: Object) -> Object:
    def merged(place: Mapping[str, Any], of: Mapping[str, Any], name: str) -> dict[str, Any]:
        added = {
            _OURS.sub("bench-gitops.dev/", key): value for key, value in of.get(name, {}).items() if _OURS.match(key)
        }
        return {**place.get(name, {}), **added}

    metadata = obj["metadata"]
    both = {name: merged(metadata, live["metadata"], name) for name in ("labels", "annotations")}
    stamped = {**obj, "metadata": {**metadata, **both}}
    if obj["kind"] == "Deployment":
        template, of = obj["spec"]["template"], live["spec"]["template"]
        notes = merged(template["metadata"], of["metadata"], "annotations")
        stamped["spec"] = {
            **obj["spec"],
            "template": {**template, "metadata": {**template["metadata"], "annotations": notes}},
        }
    return stamped
