"""Whether an object does what it was made for: kstatus' rules (cli-utils, pkg/kstatus/status) as a function of the object.

The words are Argo CD's: Current is Healthy, InProgress is Progressing, Failed is Degraded. Stricter than kstatus: a Job is healthy once
it is complete, a Service of type LoadBalancer once it has one, and a custom resource once a controller had the time to look at it.
Messages hold counts, condition types and reasons of condition, never another field's text: a live object may hold secrets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agent.manifests.builtin import GROUPS, group_of
from agent.values.tree import get, get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agent.values.tree import Object, Tree

Status: TypeAlias = Literal["Healthy", "Progressing", "Degraded", "Unknown"]

LOOKING_SECONDS: Final = 60.0
"""What a controller has, to say what it makes of a new generation."""
SCHEDULING_SECONDS: Final = 15.0
"""What a Pod has that no node takes."""


@dataclass(frozen=True, slots=True)
class Health:
    """`message` says what an object that is not Healthy waits for or failed at.

    `then` is what it is from `until` on, in Unix seconds, where it changes by itself.
    """

    status: Status
    message: str = ""
    until: float = 0.0
    then: Health | None = None

    def at(self, now: float) -> Health:
        """The health at this time."""
        return self if self.then is None or now < self.until else self.then


_HEALTHY = Health("Healthy")


def compute(live: Object, *, reports: bool = False) -> Health:
    """The health of a live object. `reports`: its kind has `status.conditions`, so a controller says what it makes of it."""
    if get(live, "metadata", "deletionTimestamp") is not None:
        return Health("Progressing", "being deleted")
    group, kind = group_of(get_text(live, "apiVersion")), get_text(live, "kind")
    if _is_stale(live):
        return Health("Progressing", "its controller has not observed the latest generation")
    for type_, failed in (("Stalled", True), ("Reconciling", False)):
        status, reason = _condition(live, type_)
        if status == "True":
            return (
                _failed(type_, reason) if failed else Health("Progressing", f"condition {type_}: {reason}".rstrip(": "))
            )
    rule = _RULES.get((group, kind))
    if rule is not None:
        return rule(live)
    if group in GROUPS:
        return _HEALTHY
    return _custom(live, reports=reports)


def _is_stale(live: Object) -> bool:
    observed = get(live, "status", "observedGeneration")
    generation = get(live, "metadata", "generation")
    return isinstance(observed, int) and isinstance(generation, int) and observed != generation


def _count(tree: Tree, *path: str | int, default: int = 0) -> int:
    found = get(tree, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def _condition(live: Object, type_: str) -> tuple[str, str]:
    """Status and reason of a condition; empty where there is none."""
    conditions = get(live, "status", "conditions")
    for condition in conditions if isinstance(conditions, list) else []:
        if get(condition, "type") == type_:
            return get_text(condition, "status"), _reason(get_text(condition, "reason"))
    return "", ""


def _reason(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z][A-Za-z0-9_,:]{0,127}", text) else ""


def _failed(type_: str, reason: str) -> Health:
    return Health("Degraded", f"condition {type_}" + (f": {reason}" if reason else ""))


def _waits(what: str, ready: int, wanted: int) -> Health:
    return Health("Progressing", f"{ready} of {wanted} {what}")


def _deployment(live: Object) -> Health:
    status, reason = _condition(live, "Progressing")
    if status == "False" or reason == "ProgressDeadlineExceeded":
        return _failed("Progressing", reason)
    status, reason = _condition(live, "ReplicaFailure")
    if status == "True":
        return _failed("ReplicaFailure", reason)
    if get(live, "status", "observedGeneration") is None:
        return Health("Progressing", "its controller has not observed it")
    wanted = _count(live, "spec", "replicas", default=1)
    for what, field in (("replicas updated", "updatedReplicas"), ("replicas available", "availableReplicas")):
        if (ready := _count(live, "status", field)) < wanted:
            return _waits(what, ready, wanted)
    if (old := _count(live, "status", "replicas") - wanted) > 0:
        return Health("Progressing", f"{old} old replicas are terminating")
    status, _ = _condition(live, "Available")
    return _HEALTHY if status in {"True", ""} else Health("Progressing", "condition Available is not True")


def _stateful_set(live: Object) -> Health:
    if get_text(live, "spec", "updateStrategy", "type") == "OnDelete":
        return _HEALTHY
    wanted = _count(live, "spec", "replicas", default=1)
    if get(live, "status", "observedGeneration") is None:
        return Health("Progressing", "its controller has not observed it")
    if (ready := _count(live, "status", "readyReplicas")) < wanted:
        return _waits("replicas ready", ready, wanted)
    if (old := _count(live, "status", "replicas") - wanted) > 0:
        return Health("Progressing", f"{old} old replicas are terminating")
    partition = _count(live, "spec", "updateStrategy", "rollingUpdate", "partition")
    updated, enough = _count(live, "status", "updatedReplicas"), wanted - partition
    revisions = {get_text(live, "status", name) for name in ("currentRevision", "updateRevision")}
    late = updated < enough if partition else len(revisions) > 1
    return _waits("replicas updated", updated, enough) if late else _HEALTHY


def _daemon_set(live: Object) -> Health:
    if get(live, "status", "observedGeneration") is None:
        return Health("Progressing", "its controller has not observed it")
    wanted = _count(live, "status", "desiredNumberScheduled")
    fields = [("pods ready", "numberReady"), ("pods available", "numberAvailable")]
    if get_text(live, "spec", "updateStrategy", "type") != "OnDelete":
        fields.insert(0, ("pods updated", "updatedNumberScheduled"))
    for what, field in fields:
        if (ready := _count(live, "status", field)) < wanted:
            return _waits(what, ready, wanted)
    return _HEALTHY


def _replica_set(live: Object) -> Health:
    status, reason = _condition(live, "ReplicaFailure")
    if status == "True":
        return _failed("ReplicaFailure", reason)
    wanted = _count(live, "spec", "replicas", default=1)
    if (ready := _count(live, "status", "readyReplicas")) < wanted:
        return _waits("replicas ready", ready, wanted)
    old = _count(live, "status", "replicas") - wanted
    return Health("Progressing", f"{old} old replicas are terminating") if old > 0 else _HEALTHY


def _pod(live: Object) -> Health:
    phase = get_text(live, "status", "phase")
    if phase == "Succeeded":
        return _HEALTHY
    if phase == "Failed":
        return Health("Degraded", "phase Failed")
    statuses = get(live, "status", "containerStatuses")
    for container in statuses if isinstance(statuses, list) else []:
        reason = _reason(get_text(container, "state", "waiting", "reason"))
        if reason in _STUCK:
            return Health("Degraded", f"a container is waiting: {reason}")
    status, reason = _condition(live, "Ready")
    if phase == "Running" and status == "True":
        return _HEALTHY
    created = _time(get_text(live, "metadata", "creationTimestamp"))
    if _condition(live, "PodScheduled") == ("False", "Unschedulable") and created is not None:
        failed = _failed("PodScheduled", "Unschedulable")
        return Health("Progressing", failed.message, created + SCHEDULING_SECONDS, failed)
    return Health("Progressing", f"condition Ready: {reason}" if reason else "condition Ready is not True")


_STUCK = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)


def _job(live: Object) -> Health:
    status, reason = _condition(live, "Failed")
    if status == "True":
        return _failed("Failed", reason)
    if _condition(live, "Complete")[0] == "True":
        return _HEALTHY
    if _condition(live, "Suspended")[0] == "True" or get(live, "spec", "suspend") is True:
        return Health("Healthy", "suspended")
    wanted = _count(live, "spec", "completions", default=1)
    return _waits("completions", _count(live, "status", "succeeded"), wanted)


def _claim(live: Object) -> Health:
    phase = get_text(live, "status", "phase")
    if phase == "Bound":
        return _HEALTHY
    return Health("Degraded", "phase Lost") if phase == "Lost" else Health("Progressing", "not bound to a volume")


def _volume(live: Object) -> Health:
    return Health("Degraded", "phase Failed") if get_text(live, "status", "phase") == "Failed" else _HEALTHY


def _service(live: Object) -> Health:
    if (
        get_text(live, "spec", "type") != "LoadBalancer"
        or get(live, "status", "loadBalancer", "ingress", 0) is not None
    ):
        return _HEALTHY
    return Health("Progressing", "no load balancer yet")


def _autoscaler(live: Object) -> Health:
    for type_ in ("AbleToScale", "ScalingActive"):
        status, reason = _condition(live, type_)
        if status == "False" and reason != "ScalingDisabled":
            return _failed(type_, reason)
        if not status and get(live, "apiVersion") != "autoscaling/v1":
            return Health("Progressing", f"no condition {type_} yet")
    return _HEALTHY


def _budget(live: Object) -> Health:
    if get(live, "status", "observedGeneration") is None:
        return Health("Progressing", "its controller has not observed it")
    current, wanted = _count(live, "status", "currentHealthy"), _count(live, "status", "desiredHealthy")
    return _HEALTHY if current >= wanted else _waits("pods healthy", current, wanted)


def _definition(live: Object) -> Health:
    status, reason = _condition(live, "NamesAccepted")
    if status == "False":
        return _failed("NamesAccepted", reason)
    status, reason = _condition(live, "Established")
    if status == "True":
        return _HEALTHY
    return Health("Progressing", "condition Established is not True")


def _api_service(live: Object) -> Health:
    status, reason = _condition(live, "Available")
    return _HEALTHY if status == "True" else Health("Progressing", f"condition Available: {reason}".rstrip(": "))


def _namespace(live: Object) -> Health:
    return _HEALTHY if get_text(live, "status", "phase") == "Active" else Health("Progressing", "not Active")


def _custom(live: Object, *, reports: bool) -> Health:
    status, reason = _condition(live, "Ready")
    if status not in {"", "True"}:
        return Health("Progressing", f"condition Ready: {reason}".rstrip(": "))
    changed = _changed_at(live)
    if not reports or changed is None or _is_looked_at(live, changed):
        return _HEALTHY
    return Health(
        "Progressing", "no controller has observed its latest generation yet", changed + LOOKING_SECONDS, _HEALTHY
    )


def _is_looked_at(live: Object, changed: float) -> bool:
    """Whether a controller has seen the newest generation: it says so, or wrote a status since."""
    generation = get(live, "metadata", "generation")
    conditions = get(live, "status", "conditions")
    marks = [get(live, "status", "observedGeneration")]
    marks += [get(each, "observedGeneration") for each in conditions] if isinstance(conditions, list) else []
    seen = [mark for mark in marks if isinstance(mark, int)]
    if seen and isinstance(generation, int):
        return max(seen) >= generation
    return max(_written(live, status=True), default=float("-inf")) >= changed


def _changed_at(live: Object) -> float | None:
    """When the newest generation was made, as far as it is known, in Unix seconds."""
    created = _time(get_text(live, "metadata", "creationTimestamp"))
    return max(_written(live, status=False), default=created)


def _written(live: Object, *, status: bool) -> Iterator[float]:
    """When managers wrote last to `status`, or to what is neither that nor metadata."""
    entries = get(live, "metadata", "managedFields")
    for entry in entries if isinstance(entries, list) else []:
        written = get_object(entry, "fieldsV1").keys() if isinstance(entry, dict) else frozenset[str]()
        found = "f:status" in written if status else bool(written - _BESIDE_THE_SPEC)
        at = _time(get_text(entry, "time"))
        if found and at is not None:
            yield at


_BESIDE_THE_SPEC: Final = frozenset({"f:status", "f:metadata", "f:apiVersion", "f:kind", "."})


def _time(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


_RULES: Mapping[tuple[str, str], Callable[[Object], Health]] = {
    ("", "Namespace"): _namespace,
    ("", "PersistentVolume"): _volume,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): _pod,
    ("", "ReplicationController"): _replica_set,
    ("", "Service"): _service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("batch", "Job"): _job,
    ("policy", "PodDisruptionBudget"): _budget,
}
