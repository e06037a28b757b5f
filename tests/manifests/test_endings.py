"""What runs to an end, how a live object ended, and what of a manifest is run."""

from __future__ import annotations

from typing import Any

import pytest

from agent.manifests import endings, live
from agent.values.secret import Sealed, Secret

Tree = dict[str, Any]


def tree(api_version: str, kind: str, spec: Tree | None = None, status: Tree | None = None, **metadata: Any) -> Tree:
    found: Tree = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "shop", **metadata}}
    return found | ({"spec": spec} if spec is not None else {}) | ({"status": status} if status is not None else {})


def conditions(**held: str) -> Tree:
    return {"conditions": [{"type": kind, "status": status} for kind, status in held.items()]}


TTL = {"ttlSecondsAfterFinished": 5}
ENDED = {
    "Job": (tree("batch/v1", "Job", {}, conditions(SuccessCriteriaMet="True", Complete="True")), "Complete"),
    "Job that failed": (tree("batch/v1", "Job", {}, conditions(FailureTarget="True", Failed="True")), "Failed"),
    "Job about to fail": (tree("batch/v1", "Job", {}, conditions(FailureTarget="True")), ""),
    "Job that runs": (tree("batch/v1", "Job", {}, {"active": 1}), ""),
    "Job that is suspended": (tree("batch/v1", "Job", {"suspend": True}, conditions(Suspended="True")), ""),
    "Job that is new": (tree("batch/v1", "Job", {}), ""),
    "Pod": (tree("v1", "Pod", {"restartPolicy": "Never"}, {"phase": "Succeeded"}), "Complete"),
    "Pod that failed": (tree("v1", "Pod", {"restartPolicy": "OnFailure"}, {"phase": "Failed"}), "Failed"),
    "Pod that runs": (tree("v1", "Pod", {"restartPolicy": "Never"}, {"phase": "Running"}), ""),
    "Pod that is kept running": (tree("v1", "Pod", {"restartPolicy": "Always"}, {"phase": "Failed"}), ""),
    "Deployment": (tree("apps/v1", "Deployment", {}, conditions(Complete="True")), ""),
    "claim": (tree("v1", "PersistentVolumeClaim", {}, {"phase": "Failed"}), ""),
    "PipelineRun": (tree("tekton.dev/v1", "PipelineRun", {}, conditions(Succeeded="True")), "Complete"),
    "PipelineRun that failed": (tree("tekton.dev/v1", "PipelineRun", {}, conditions(Succeeded="False")), "Failed"),
    "TaskRun that runs": (tree("tekton.dev/v1", "TaskRun", {}, conditions(Succeeded="Unknown")), ""),
    "Workflow": (tree("argoproj.io/v1alpha1", "Workflow", {}, {"phase": "Succeeded"}), "Complete"),
    "Workflow in error": (tree("argoproj.io/v1alpha1", "Workflow", {}, {"phase": "Error"}), "Failed"),
    "JobSet": (tree("jobset.x-k8s.io/v1alpha2", "JobSet", TTL, conditions(Completed="True")), "Complete"),
    "JobSet that is kept": (tree("jobset.x-k8s.io/v1alpha2", "JobSet", {}, conditions(Completed="True")), ""),
    "PyTorchJob": (
        tree("kubeflow.org/v1", "PyTorchJob", {"runPolicy": TTL}, conditions(Created="True", Succeeded="True")),
        "Complete",
    ),
    "SparkApplication": (
        tree(
            "sparkoperator.k8s.io/v1beta2",
            "SparkApplication",
            {"timeToLiveSeconds": 60},
            {"applicationState": {"state": "FAILED"}},
        ),
        "Failed",
    ),
    "Volcano's Job": (tree("batch.volcano.sh/v1alpha1", "Job", TTL, {"state": {"phase": "Completed"}}), "Complete"),
    "RayJob": (tree("ray.io/v1", "RayJob", TTL, {"jobStatus": "SUCCEEDED"}), "Complete"),
    "signing request": (
        tree("certificates.k8s.io/v1", "CertificateSigningRequest", {}, {"certificate": "LS0t"}),
        "Complete",
    ),
    "database that failed": (tree("example.com/v1", "Database", {}, {"phase": "Failed"}), ""),
    "record with a time to live of its own": (tree("example.com/v1", "Record", {"ttl": 300}, {"phase": "Failed"}), ""),
}


@pytest.mark.parametrize("case", ENDED)
def test_how_it_ended(case: str) -> None:
    found, ending = ENDED[case]
    assert endings.ended(found) == ending


@pytest.mark.parametrize("case", ["Job", "Job that failed", "Pod", "Pod that failed", "PipelineRun"])
def test_an_object_that_holds_a_secret_tells_it_too(case: str) -> None:
    found, ending = ENDED[case]
    assert endings.ended(live.wrap(found, whole=True)) == ending


AT = {"deletionTimestamp": "2026-01-01T00:00:30Z"}


def finished(at: str) -> Tree:
    return {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": at}]}


@pytest.mark.parametrize(
    ("found", "ending"),
    [
        (tree("batch/v1", "Job", {}, finished("2026-01-01T00:00:29Z"), **AT), "Complete"),
        (tree("batch/v1", "Job", {}, finished("2026-01-01T00:00:31Z"), **AT), ""),
        (
            tree("batch/v1", "Job", {}, finished("2026-01-01T00:00:20Z"), **AT, deletionGracePeriodSeconds=30),
            "",
        ),
        (tree("v1", "Pod", {"restartPolicy": "Never"}, {"phase": "Succeeded"}, **AT), ""),
    ],
    ids=["before", "after", "within its grace period", "of a pod that is stopped"],
)
def test_what_ends_as_it_is_deleted_was_stopped(found: Tree, ending: str) -> None:
    assert endings.ended(found) == ending


JOB = tree(
    "batch/v1",
    "Job",
    {"template": {"env": [{"value": Sealed("one", "x", "str")}]}},
    annotations={"team.example/a": "1"},
)


def steered(**annotations: str) -> Tree:
    given = {f"signet-gitops.dev/{name}": text for name, text in annotations.items()}
    return {**JOB, "metadata": {**JOB["metadata"], "annotations": {**JOB["metadata"]["annotations"], **given}}}


@pytest.mark.parametrize(
    "other",
    [
        {**JOB, "apiVersion": "batch/v2"},
        {**JOB, "spec": {"template": {"env": [{"value": Sealed("two", "x", "str")}]}}},
        steered(wave="25", replace="true", prune="disabled"),
    ],
    ids=["version", "ids of encrypted values", "what steers the agent"],
)
def test_what_is_no_part_of_the_content(other: Tree) -> None:
    assert endings.content(other) == endings.content(JOB)


@pytest.mark.parametrize(
    "other",
    [
        {**JOB, "spec": {"template": {"env": [{"value": "clear"}]}}},
        {**JOB, "spec": {"template": {"env": []}}},
        {**JOB, "metadata": {"name": "x", "namespace": "shop"}},
    ],
    ids=["a value", "a field", "an annotation"],
)
def test_what_is(other: Tree) -> None:
    assert endings.content(other) != endings.content(JOB)


def test_the_content_of_a_clear_secret_stays_wrapped() -> None:
    found = endings.content({**JOB, "spec": {"value": Secret("canary", "test")}})
    assert "canary" not in repr(found)
