"""What many files have in common is one failure of the status, so that the others are not cut."""

from __future__ import annotations

from agent.api import application as applications
from agent.api.status import ApplicationStatus
from agent.controllers import status
from agent.controllers.status import Standing
from agent.engine.outcome import Outcome
from agent.engine.state import State
from agent.values.errors import ManifestError, PruneRefusedError
from agent.values.ids import ObjectId
from agent.values.problems import Problem, repeated

APPLICATION = applications.parse(
    {
        "apiVersion": "signet-gitops.dev/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
        "spec": {"source": {"url": "https://git.example.com/x.git", "revision": {"branch": "main"}}},
    }
)
FILES = [
    Problem(ManifestError("no manifest", file=f"{number}.yaml", line=number + 1), None, "") for number in range(80)
]
OTHER = Problem(ManifestError("no manifest", file="other.yaml", field="kind"), None, "")
OBJECTS = [Problem(PruneRefusedError("kept"), ObjectId("", "ConfigMap", "shop", name)) for name in "ab"]


def test_files_that_repeat_a_problem_are_one_failure_with_a_count() -> None:
    outcome = Outcome(State(), None, (*FILES, OTHER, *OBJECTS))
    found = status.compute(
        APPLICATION, Standing(), outcome, ApplicationStatus(), triggers=frozenset(), started=0.0, now=0.0
    )
    assert [(each.file, each.object, each.message) for each in found.failures] == [
        ("0.yaml:1", "", "no manifest (and 79 times more)"),
        ("other.yaml", "", "no manifest"),
        ("", "ConfigMap shop/a", "kept"),
        ("", "ConfigMap shop/b", "kept"),
    ]


def test_objects_that_repeat_a_problem_are_one_where_they_are_wanted_so() -> None:
    found = repeated([*OBJECTS, OTHER], objects=True)
    assert [len(each.problems) for each in found] == [2, 1]
    assert [str(each.error) for each in found] == ["kept", "other.yaml: kind: no manifest"]
