"""What runs to an end, and how it ended: Jobs, Pods that are not restarted, and custom resources of that kind.

Such an object is meant to go once it has finished. Its own controller deletes it, or a person tidies up, and neither asks for another run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agent.manifests.builtin import GROUPS, group_of
from agent.manifests.health import Health
from agent.manifests.ownership import PREFIX
from agent.values.secret import Sealed
from agent.values.tree import get, get_object, get_text, map_leaves

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.values.tree import Leaf, Object, Path, Tree

Ending: TypeAlias = Literal["", "Complete", "Failed"]

_KINDS: Final = frozenset(
    {
        ("argoproj.io", "Workflow"),
        ("batch", "Job"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("tekton.dev", "CustomRun"),
        ("tekton.dev", "PipelineRun"),
        ("tekton.dev", "TaskRun"),
    }
)
_LIFETIMES: Final[tuple[Path, ...]] = (
    ("spec", "ttlSecondsAfterFinished"),
    ("spec", "runPolicy", "ttlSecondsAfterFinished"),
    ("spec", "timeToLiveSeconds"),
    ("spec", "ttlStrategy"),
)
"""How Jobs, JobSets, the training and Spark operators and Argo Workflows are asked to delete what has finished."""
_CONDITIONS: Final[dict[tuple[str, str], Ending]] = {
    ("Complete", "True"): "Complete",
    ("Completed", "True"): "Complete",
    ("Succeeded", "True"): "Complete",
    ("Failed", "True"): "Failed",
    ("Denied", "True"): "Failed",
    ("Succeeded", "False"): "Failed",
}
_PHASES: Final[tuple[Path, ...]] = (
    ("status", "phase"),
    ("status", "state"),
    ("status", "state", "phase"),
    ("status", "jobStatus"),
    ("status", "applicationState", "state"),
)
_WORDS: Final[dict[str, Ending]] = {
    "complete": "Complete",
    "completed": "Complete",
    "succeeded": "Complete",
    "aborted": "Failed",
    "error": "Failed",
    "failed": "Failed",
}
_HEALTH: Final = {
    "Complete": Health("Healthy", "finished, and is gone"),
    "Failed": Health("Degraded", "failed, and is gone"),
    "Unknown": Health("Unknown", "is gone, and no agent was watching: it is unknown whether it completed"),
    "Lost": Health("Unknown", "is gone, and no record says whether it ran"),
}
_TIMES: Final = ("completionTime", "completionTimestamp", "finishedAt")
_SEALED: Final = "sealed"


def ends(tree: Object) -> bool:
    """Whether an object, desired or live, runs to an end and is not kept running."""
    key = group_of(get_text(tree, "apiVersion")), get_text(tree, "kind")
    if key == ("", "Pod"):
        return get_text(tree, "spec", "restartPolicy") in {"Never", "OnFailure"}
    return key in _KINDS or (key[0] not in GROUPS and expires(tree))


def expires(tree: Object) -> bool:
    """Whether its own controller deletes it some time after it has finished."""
    return any(get(tree, *path) is not None for path in _LIFETIMES)


def ended(live: Object) -> Ending:
    """How a live object ended; empty while it runs, and where it was only stopped by its deletion."""
    if not ends(live):
        return ""
    deleted = get_text(live, "metadata", "deletionTimestamp")
    at_once = get(live, "metadata", "deletionGracePeriodSeconds") in {None, 0}
    for ending, at in _endings(live):
        # what ends as it is deleted was stopped: RFC 3339 times of one zone compare as text
        if not deleted or (at_once and at and at < deleted):
            return ending
    return ""


def health(ended: str) -> Health | None:
    """Of what is gone, by how it ended; None for what did not end."""
    return _HEALTH.get(ended)


def content(tree: Object) -> Object:
    """What is run: without the ids of encrypted values, which change as a file is encrypted again, and what only steers the agent."""

    def plain(_: Path, leaf: Leaf) -> Leaf:
        return _SEALED if isinstance(leaf, Sealed) else leaf

    metadata = get_object(tree, "metadata")
    annotations = {
        name: text for name, text in get_object(metadata, "annotations").items() if not name.startswith(PREFIX)
    }
    left = {name: value for name, value in metadata.items() if name != "annotations"}
    rest = {name: value for name, value in tree.items() if name != "apiVersion"}
    found = map_leaves({**rest, "metadata": {**left, "annotations": annotations}}, plain)
    assert isinstance(found, dict)
    return found


def _endings(live: Object) -> Iterator[tuple[Ending, str]]:
    """How it ended, and when, in RFC 3339; empty where that is not known."""
    conditions = get(live, "status", "conditions")
    for condition in conditions if isinstance(conditions, list) else []:
        ending = _CONDITIONS.get((get_text(condition, "type"), get_text(condition, "status")))
        if ending:
            yield ending, get_text(condition, "lastTransitionTime")
    status: Tree = get(live, "status")
    at = next((text for name in _TIMES if (text := get_text(status, name))), "")
    for path in _PHASES:
        ending = _WORDS.get(get_text(live, *path).casefold())
        if ending:
            yield ending, at
    if get_text(status, "certificate"):
        yield "Complete", ""
