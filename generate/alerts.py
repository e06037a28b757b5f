"""Alert rules, made from the metrics that the agent defines: a rule that selects a metric or label that is not defined is an error here.

They are shipped as a file of rules for Prometheus, as a PrometheusRule for its operator, and as a page for people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.adapters.metrics.prometheus import Metrics
from agent.installation.choices import NAMESPACE
from agent.yaml.write import render
from generate.installation import NOTICE

if TYPE_CHECKING:
    from agent.values.tree import Object

_PARTS: Final = {"histogram": ("_bucket", "_count", "_sum")}
_DEFINED: Final = {
    each.name + part: frozenset(each.labels)
    for each in Metrics(version="").definitions
    for part in _PARTS.get(each.kind, ("",))
}
_JOB: Final = '{job=~"(.*/)?signet-agent"}'
"""`NAMESPACE/signet-agent` with the operator's PodMonitor, `signet-agent` in a configuration written by hand."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. `summary` names what is wrong, `cure` what to do; both may hold Prometheus's `{{ $labels.… }}`."""

    name: str
    expression: str
    minutes: int
    severity: str
    summary: str
    cure: str

    def rule(self) -> Object:
        """As Prometheus takes it."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": f"{self.minutes}m",
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "description": self.cure},
        }


def series(name: str, matchers: str = "") -> str:
    """A selector of PromQL. Raises ValueError for a metric, or a label in `matchers`, that the agent does not define."""
    if name not in _DEFINED:
        raise ValueError(f"the agent has no metric {name}")
    for each in matchers.split(", ") if matchers else ():
        label = each.partition("=")[0].rstrip("!")
        if label not in _DEFINED[name]:
            raise ValueError(f"{name} has no label {label}")
    return f"{name}{{{matchers}}}" if matchers else name


def _greatest(name: str, matchers: str = "", *by: str) -> str:
    """Of one Application: two agents may report it while it moves from one to the other."""
    return f"max by ({', '.join(('namespace', 'application', *by))}) ({series(name, matchers)})"


def _share(name: str, matchers: str, by: str = "") -> str:
    """How much of what was counted in ten minutes has these labels, from 0 to 1."""
    total = f"sum{by} (rate({series(name)}[10m]))"
    return f"sum{by} (rate({series(name, matchers)}[10m])) / {total}"


def _quantile(name: str) -> str:
    """What 19 of 20 took at most, in half an hour."""
    return f"histogram_quantile(0.95, sum by (le) (rate({series(name + '_bucket')}[30m])))"


_GIT: Final = _share("signet_git_seconds_count", 'result="failed"', " by (operation)") + " > 0.25"
_STORE: Final = _share("signet_store_seconds_count", 'result="failed"', " by (store)") + " > 0.25"
_SERVER: Final = _share("signet_api_requests_total", 'code=~"0|5.."') + " > 0.25"
_RIGHTS: Final = _share("signet_api_requests_total", 'code=~"401|403"') + " > 0.5"
_AUDIT_FAILS: Final = _share("signet_audit_seconds_count", 'result="failed"') + " > 0.25"
_AUDIT_LAGS: Final = f"max({series('signet_audit_lag_seconds')}) > 60"
_AUDIT: Final = f"unless on () ({_AUDIT_FAILS}) unless on () ({_AUDIT_LAGS})"
_SLOW: Final = _quantile("signet_reconciliation_seconds") + " > 60"
_ENDLESS: Final = f"time() - {_greatest('signet_running_since_timestamp_seconds')} > 5400"
"""A wave waits for an hour at most."""
_ON_DISK: Final = "max(sum without (kept) (" + series("signet_source_bytes", 'kept=~"mirrors|artifacts"') + "))"
_KNOWN: Final = _greatest("signet_objects", 'state="total"')
_UNFINISHED: Final = _greatest("signet_objects", 'state=~"held|failed"') + " > 0"
_SYNCED: Final = _greatest("signet_last_sync_timestamp_seconds")
_APPLICATION: Final = "Application {{ $labels.namespace }}/{{ $labels.application }}"
_STATUS: Final = "agent status {{ $labels.application }} -n {{ $labels.namespace }}"

_EXPLAINED: Final = (
    f"unless on (namespace, application) ({_UNFINISHED} or {_greatest('signet_waits')} or {_greatest('signet_refused')} or {_ENDLESS}) "
    f"unless on () ({_GIT}) unless on () ({_SERVER}) {_AUDIT}"
)
"""What has an alert of its own, with a better cure, or is meant."""
_MEANT: Final = "unless on (namespace, application) " + series("signet_waits", 'reason="Suspended"')

ALERTS: Final = (
    Alert(
        "SignetNoAgent",
        f"absent({series('signet_agent_info')})",
        10,
        "critical",
        "No Signet agent is scraped: commits are not applied, and drift is not healed",
        "Look at the agent's Pods (kubectl get pods -n signet-system) and their logs. If they are ready, Prometheus does not reach them: "
        "its namespace needs the label signet-gitops.dev/metrics=true.",
    ),
    Alert(
        "SignetAgentDown",
        f"up{_JOB} == 0 and on () group({series('signet_agent_info')})",
        10,
        "warning",
        "The Signet agent {{ $labels.instance }} does not answer; another one does",
        "Look at its Pod: kubectl describe pod, and kubectl logs --previous. The other agents have taken over its Applications.",
    ),
    Alert(
        "SignetVersionsDiffer",
        f"count(count by (version) ({series('signet_agent_info')})) > 1",
        60,
        "warning",
        "Signet agents of different versions have run side by side for an hour",
        "Finish the upgrade or roll it back: kubectl rollout status -n signet-system deploy/signet-agent.",
    ),
    Alert(
        "SignetOperatorFileInvalid",
        f"{series('signet_operator_file_valid')} == 0",
        5,
        "warning",
        "The operator's file of the Signet agent {{ $labels.instance }} is invalid or gone; what it held before stays in force",
        "Run agent check in the agent's Pod, which names the field, and correct operator.yaml in the Secret signet-operator. "
        "An agent that restarts meanwhile does not start.",
    ),
    Alert(
        "SignetApiServerFails",
        _SERVER,
        10,
        "critical",
        "More than a quarter of the agent's requests to the API server fail",
        "Look at the API server and at the network between them. The agent writes nothing meanwhile, and continues by itself.",
    ),
    Alert(
        "SignetRequestsRefused",
        _RIGHTS,
        10,
        "critical",
        "The API server refuses most of the agent's requests",
        "Run agent check in the agent's Pod: it names the right that is missing. Apply the agent's roles again.",
    ),
    Alert(
        "SignetGitFails",
        _GIT,
        15,
        "warning",
        "More than a quarter of the exchanges with Git servers fail ({{ $labels.operation }})",
        "Run agent check in the agent's Pod: it asks every Git server. Look at the server, the network and the credentials. "
        "What was applied last stays and is healed.",
    ),
    Alert(
        "SignetStoreFails",
        _STORE,
        15,
        "warning",
        "More than a quarter of the requests to the store {{ $labels.store }} fail",
        "Find out whether it is sealed or cannot be reached: agent check in the agent's Pod asks every store. "
        "Objects that need it are held, and follow when it answers.",
    ),
    Alert(
        "SignetObjectsHeld",
        _greatest("signet_held_objects", 'reason!="StoreUnavailable"', "reason") + f" > 0 {_MEANT}",
        15,
        "warning",
        f"{_APPLICATION} holds objects back: {{{{ $labels.reason }}}}",
        f"Run {_STATUS}: it names file, object, field and cure. Nothing of the Application is pruned until then.",
    ),
    Alert(
        "SignetObjectsFail",
        _greatest("signet_objects", 'state="failed"') + f" > 0 {_MEANT} {_AUDIT}",
        15,
        "warning",
        f"{_APPLICATION} has objects that cannot be applied",
        f"Run {_STATUS}: it shows what the API server answers for each, and the cure.",
    ),
    Alert(
        "SignetObjectsDrifted",
        _greatest("signet_objects", 'state="drifted"') + f" > 0 {_MEANT}",
        60,
        "warning",
        f"{_APPLICATION} has objects that have differed from Git for an hour",
        "Run agent diff to see the differences. With sync.mode detect nothing is healed: commit the differences, or undo them.",
    ),
    Alert(
        "SignetApplicationBehind",
        f"time() - {_SYNCED} > 2 * 3600 {_EXPLAINED}",
        10,
        "warning",
        f"{_APPLICATION} was last applied in full more than two hours ago",
        f"Run {_STATUS}: it says why the newest commit or its source cannot be used, and the cure. "
        "If the Application has an interval of more than an hour, raise the time in this rule.",
    ),
    Alert(
        "SignetApplicationNeverApplied",
        f"{_KNOWN} unless on (namespace, application) {_SYNCED} {_EXPLAINED}",
        60,
        "warning",
        f"{_APPLICATION} has not been applied in full since its agent started",
        f"Run {_STATUS}: it says why the commit or its source cannot be used, and the cure.",
    ),
    Alert(
        "SignetDriftRepeats",
        f"sum(increase({series('signet_drift_total')}[1h])) > 8",
        120,
        "warning",
        "Live objects have been changed again and again for two hours by someone other than Signet",
        "Look for the event Fight, which names the object and the other client. Stop that client, or have the field ignored.",
    ),
    Alert(
        "SignetRunsSlow",
        _SLOW,
        30,
        "warning",
        "One in twenty reconciliations takes longer than a minute",
        "Compare the latency of Git and of the stores on the dashboard, and look at the API server's own. If none is slow, give the agent more CPU.",
    ),
    Alert(
        "SignetSpecRefused",
        _greatest("signet_refused", "", "reason") + " > 0",
        15,
        "warning",
        f"{_APPLICATION} has a spec that cannot be run: {{{{ $labels.reason }}}}",
        f"Run {_STATUS}: it names the field. What was applied last stays, and is not healed.",
    ),
    Alert(
        "SignetRunsWait",
        f"{_quantile('signet_queue_seconds')} > 60 unless on () ({_SLOW})",
        30,
        "warning",
        "One in twenty reconciliations that are due waits longer than a minute for its turn",
        "Look at the queues by namespace on the dashboard. Give the agent more CPU, or run several (agent install --high-availability); "
        "if it is one namespace that asks for too much, raise the interval of its Applications.",
    ),
    Alert(
        "SignetRunDoesNotEnd",
        f"{_ENDLESS} {_AUDIT}",
        10,
        "warning",
        f"A reconciliation of {_APPLICATION} has been running for an hour and a half",
        "See what its workloads wait for (kubectl get pods). If it waits for none, restart the agent, and report it with the agent's log.",
    ),
    Alert(
        "SignetWatchSilent",
        f"time() - min by (resource) ({series('signet_watch_timestamp_seconds')}) > 600 unless on () ({_SERVER}) unless on () ({_RIGHTS})",
        10,
        "warning",
        "The watch of {{ $labels.resource }} has brought nothing for ten minutes: their drift is not seen",
        "Look for 'a watch was interrupted' in the agent's log, which has the reason, and run agent check in the agent's Pod. "
        "The API server sends a bookmark a minute.",
    ),
    Alert(
        "SignetAuditFails",
        _AUDIT_FAILS,
        10,
        "critical",
        "The audit trail cannot be written; unless audit.required is off, nothing is applied",
        "Free space on the volume of audit.file, and look at its permissions: the agent's log has the reason. It continues by itself.",
    ),
    Alert(
        "SignetAuditBehind",
        _AUDIT_LAGS,
        10,
        "critical",
        "A record has waited longer than a minute for the audit trail",
        "Look at the volume of audit.file, or at what reads the agent's standard output: it does not take what is written. Changes wait for it.",
    ),
    Alert(
        "SignetSourcesLarge",
        f"{_ON_DISK} > 3 * 2^30",
        15,
        "warning",
        "Git mirrors and artifacts take more than 3 GiB of an agent's disk",
        "Raise sizeLimit of the volume state, which is 4 GiB as shipped: beyond it the kubelet evicts the Pod, and all is fetched again. "
        "What no Application has used for a day is removed by itself.",
    ),
)


def rules() -> Object:
    """The groups of a file of rules."""
    return {"groups": [{"name": "signet", "rules": [each.rule() for each in ALERTS]}]}


def resource() -> Object:
    """The same for the Prometheus operator."""
    labels: Object = {"app.kubernetes.io/name": "signet"}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "signet-agent", "namespace": NAMESPACE, "labels": labels},
        "spec": rules(),
    }


def files() -> dict[str, str]:
    """Path below the repository's root → text."""
    made = NOTICE + render.manifest(resource())
    return {
        "deploy/alerts.yaml": NOTICE + render.manifest(rules()),
        "deploy/kustomize/prometheus-operator/alerts.yaml": made,
        "agent/installation/manifests/alerts.yaml": made,
        "docs/reference/alerts.md": _page(),
    }


def _page() -> str:
    rows = [
        f"| `{each.name}` | {each.severity} | {each.minutes} min | {_plain(each.summary)} | {_plain(each.cure)} |"
        for each in ALERTS
    ]
    return "\n".join([_HEAD, *rows, ""])


def _plain(text: str) -> str:
    return _LABEL.sub(lambda match: match[1].upper(), text)


_LABEL: Final = re.compile(r"\{\{ \$labels\.(\w+) \}\}")
_HEAD: Final = """# Alerts

<!-- generated by `python -m generate` -->

The rules of [deploy/alerts.yaml](../../deploy/alerts.yaml). [Operate the agent](../operations.md#alerts-and-dashboard) says how to install
them. *After* is how long an alert is pending before it fires.

| alert | severity | after | what it means | what to do |
|---|---|---|---|---|"""
