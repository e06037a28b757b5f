"""What two agents count minute by minute while something is wrong, as series of a test by promtool.

The counting is done by the agents' own metrics. Each of the two has an Application, and the fault hits the first of them or both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from agent.adapters.metrics.prometheus import Metrics
from agent.values.ids import ApplicationId

if TYPE_CHECKING:
    from collections.abc import Mapping

HEALTHY_MINUTES = 30
FAULTY_MINUTES = 240
APPLICATIONS = (ApplicationId("shop", "web", "uid-1"), ApplicationId("shop", "api", "uid-2"))


@dataclass(frozen=True)
class Minute:
    """What happens in every minute. `web` is what only the Application shop/web has.

    `run` is the result and the seconds. `edits` is after how many minutes someone edits a live object, and how many seconds later that is
    corrected; `burst` is how many edits there are in the first minute. `queue` is how many seconds a run waits for its turn, and `endless` says
    of whose agents the run that begins first never ends. `audit` is whether records are written, and for how many seconds the oldest waits.
    """

    run: tuple[str, float] = ("succeeded", 0.3)
    synced: bool = True
    git: bool = True
    store: bool = True
    codes: tuple[int, ...] = (200,) * 9 + (404,)
    edits: tuple[int, float | None] = (30, 0.05)
    burst: int = 0
    web_synced: bool = True
    web_objects: Mapping[str, int] = field(default_factory=dict[str, int])
    web_held: Mapping[str, int] = field(default_factory=dict[str, int])
    web_waits: Mapping[str, int] = field(default_factory=dict[str, int])
    web_refused: str = ""
    queue: float = 0.01
    endless: tuple[bool, bool] = (False, False)
    watches: Literal["heard", "silent", "gone"] = "heard"
    audit: tuple[bool, float] = (True, 0.0)
    disk_bytes: int = 2**20
    operator_file: bool = True
    scraped: tuple[bool, bool] = (True, True)
    versions: tuple[str, str] = ("1.0.0", "1.0.0")
    restart: bool = False


@dataclass(frozen=True)
class Fault:
    """`labels` are those of the one alert that fires, besides its name and severity."""

    alert: str
    minute: Minute
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    severity: str = "warning"


WEB = {"namespace": "shop", "application": "web"}
TARGET = {"job": "signet-system/signet-agent", "namespace": "signet-system"}

FAULTS = (
    Fault("SignetNoAgent", Minute(scraped=(False, False)), severity="critical"),
    Fault("SignetAgentDown", Minute(scraped=(False, True)), {"instance": "agent-0", **TARGET}),
    Fault("SignetVersionsDiffer", Minute(versions=("1.1.0", "1.0.0"), restart=True)),
    Fault("SignetOperatorFileInvalid", Minute(operator_file=False), {"instance": "agent-0", **TARGET}),
    Fault(
        "SignetApiServerFails",
        Minute(
            run=("failed", 30), synced=False, web_synced=False, codes=(200, 0, 503), edits=(30, None), watches="silent"
        ),
        severity="critical",
    ),
    Fault(
        "SignetRequestsRefused",
        Minute(run=("failed", 0.1), codes=(403, 403, 401, 200), edits=(30, None), watches="silent"),
        severity="critical",
    ),
    Fault(
        "SignetGitFails",
        Minute(run=("partial", 0.3), synced=False, web_synced=False, git=False),
        {"operation": "ask"},
    ),
    Fault(
        "SignetStoreFails",
        Minute(
            run=("partial", 0.3),
            web_synced=False,
            store=False,
            web_objects={"held": 1},
            web_held={"StoreUnavailable": 1},
        ),
        {"store": "main"},
    ),
    Fault(
        "SignetObjectsHeld",
        Minute(run=("partial", 0.3), web_synced=False, web_objects={"held": 2}, web_held={"DataKey": 2}),
        {**WEB, "reason": "DataKey"},
    ),
    Fault("SignetObjectsFail", Minute(run=("partial", 0.3), web_synced=False, web_objects={"failed": 1}), WEB),
    Fault("SignetObjectsDrifted", Minute(web_objects={"drifted": 3}), WEB),
    Fault("SignetApplicationBehind", Minute(run=("failed", 0.1), web_synced=False), WEB),
    Fault("SignetApplicationNeverApplied", Minute(run=("failed", 0.1), web_synced=False, restart=True), WEB),
    # an object that another client fights over is corrected every five minutes
    Fault("SignetDriftRepeats", Minute(edits=(5, 300))),
    # the others wait as long
    Fault("SignetRunsSlow", Minute(run=("succeeded", 90), queue=90)),
    Fault("SignetSpecRefused", Minute(web_synced=False, web_refused="Manifest"), {**WEB, "reason": "Manifest"}),
    Fault("SignetRunsWait", Minute(queue=90)),
    Fault("SignetRunDoesNotEnd", Minute(web_synced=False, endless=(True, False)), WEB),
    Fault("SignetWatchSilent", Minute(watches="silent"), {"resource": "deployments.apps"}),
    Fault(
        "SignetAuditFails",
        Minute(run=("partial", 0.3), synced=False, web_synced=False, audit=(False, 0.0), web_objects={"failed": 1}),
        severity="critical",
    ),
    Fault(
        "SignetAuditBehind",
        Minute(synced=False, web_synced=False, audit=(True, 600.0), endless=(True, True)),
        severity="critical",
    ),
    Fault("SignetSourcesLarge", Minute(disk_bytes=4_000_000_000)),
)
"""One for each alert."""

MEANT = {
    "suspended": Minute(
        web_synced=False,
        web_objects={"held": 1, "failed": 1, "drifted": 1},
        web_held={"DataKey": 1},
        web_waits={"Suspended": 1},
    ),
    "suspended since the start": Minute(web_synced=False, web_waits={"Suspended": 1}, restart=True),
    "outside of its sync windows": Minute(run=("waiting", 0.1), web_synced=False, web_waits={"SyncWindow": 1}),
    "many edits at once": Minute(burst=300),
    "a kind that is not served any more": Minute(watches="gone"),
    "behind another Application": Minute(
        run=("waiting", 0.1), web_synced=False, web_waits={"DependencyNotReady": 2}, restart=True
    ),
}
"""What lasts for hours and is no fault."""


@dataclass(frozen=True)
class Sample:
    name: str
    labels: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        matchers = [f'{name}="{value}"' for name, value in self.labels]
        return f"{self.name}{{{', '.join(matchers)}}}"


def series(fault: Minute) -> list[dict[str, str]]:
    """Input series of promtool, one value a minute: first healthy, then faulty."""
    healthy = Minute()
    agents = [Metrics(version=version) for version in healthy.versions]
    found: dict[Sample, list[str]] = {}
    for minute in range(HEALTHY_MINUTES + FAULTY_MINUTES):
        now = healthy if minute < HEALTHY_MINUTES else fault
        if minute == HEALTHY_MINUTES and fault.restart:
            agents[0] = Metrics(version=fault.versions[0])
        for number, agent in enumerate(agents):
            _count(agent, number, now, minute * 60)
            for sample, value in _scrape(agent, number, now.scraped[number]).items():
                values = found.setdefault(sample, [])
                values += ["_"] * (minute - len(values))
                values.append(value)
    return [{"series": str(sample), "values": " ".join(values)} for sample, values in found.items()]


def _count(agent: Metrics, number: int, minute: Minute, unix_seconds: int) -> None:
    application = APPLICATIONS[number]
    is_web = number == 0
    _run(agent, number, minute, unix_seconds)
    _watch(agent, minute, unix_seconds)
    agent.operator_file(valid=minute.operator_file or not is_web)
    written, lag = minute.audit
    agent.audit_backlog(lambda: (3 if lag else 0, lag))
    if not lag:
        agent.audit_written(written, 0.01)
    agent.kept({"mirrors": minute.disk_bytes, "artifacts": 0, "trees": 2**20})
    objects = {"total": 9, "held": 0, "failed": 0, "drifted": 0}
    agent.objects(application, objects | dict(minute.web_objects) if is_web else objects)
    agent.held(application, minute.web_held if is_web else {})
    agent.waits(application, minute.web_waits if is_web else {})
    agent.refused(application, minute.web_refused if is_web else "")
    if minute.synced and (minute.web_synced or not is_web):
        agent.synced(application, unix_seconds)
    for code in minute.codes:
        agent.api_request("GET", code)
    agent.git_exchange("ask", minute.git, 0.2)
    agent.store_request("main", minute.store, 0.1)
    now = unix_seconds // 60
    every, corrected = minute.edits
    for _ in range((now % every == 0) + (minute.burst if now == HEALTHY_MINUTES else 0)):
        agent.drifted("live")
        if corrected is not None:
            agent.healed(corrected)


def _run(agent: Metrics, number: int, minute: Minute, unix_seconds: int) -> None:
    application, now = APPLICATIONS[number], unix_seconds // 60
    if minute.endless[number] and now > HEALTHY_MINUTES:
        return
    agent.queued(application.namespace, 1)
    agent.queued(application.namespace, 0)
    agent.waited(minute.queue)
    agent.began(application, unix_seconds)
    if not minute.endless[number]:
        agent.reconciled("git", *minute.run)
        agent.ended(application, unix_seconds)


def _watch(agent: Metrics, minute: Minute, unix_seconds: int) -> None:
    agent.watched("configmaps", unix_seconds)
    if minute.watches != "silent":
        agent.watched("deployments.apps", unix_seconds if minute.watches == "heard" else None)


def _scrape(agent: Metrics, number: int, answers: bool) -> dict[Sample, str]:
    """With the labels of a target, below those of the agent's own samples."""
    target = {**TARGET, "instance": f"agent-{number}"}
    found = {Sample("up", tuple(target.items())): str(int(answers))}
    if answers:
        for family in agent.registry.collect():
            for sample in family.samples:
                if not sample.name.endswith("_created"):
                    found[Sample(sample.name, tuple((target | sample.labels).items()))] = repr(float(sample.value))
    return found


def promtool_test(minute: Minute, rules: str, fault: Fault | None = None) -> dict[str, Any]:
    """A file of `promtool test rules`: nothing is pending before, and afterwards the alert of the fault, if there is one, alone has fired."""
    end = HEALTHY_MINUTES + FAULTY_MINUTES - 1
    firing = 'ALERTS{alertstate="firing"}'
    labels, names = list[str](), list[str]()
    if fault is not None:
        given = {"alertname": fault.alert, "alertstate": "firing", "severity": fault.severity, **fault.labels}
        labels = [str(Sample("ALERTS", tuple(given.items())))]
        names = [str(Sample("", (("alertname", fault.alert),)))]
    return {
        "rule_files": [rules],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series(minute),
                "promql_expr_test": [
                    _asked("ALERTS", HEALTHY_MINUTES - 1, []),
                    _asked(firing, end, labels),
                    _asked(f"count by (alertname) (max_over_time({firing}[{end}m]))", end, names),
                ],
            }
        ],
    }


def _asked(expression: str, minute: int, samples: list[str]) -> dict[str, Any]:
    expected = [{"labels": each, "value": 1} for each in samples]
    return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": expected}
