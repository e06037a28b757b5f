"""Fail closed, and no wider: what a broken file or object holds back, as a table over whole commits."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agent.desired import compiler
from agent.desired.compiler import UnknownChangeError
from agent.engine.record import ApplicationRecord, ObjectRecord
from agent.manifests import documents
from agent.manifests.documents import File
from agent.manifests.kinds import Kinds, Resource
from agent.manifests.places import Places
from agent.values.errors import MacMismatchError, StoreUnavailableError
from agent.values.ids import ObjectId, Revision

KINDS = Kinds(
    [
        Resource("", "v1", "ConfigMap", "configmaps", namespaced=True),
        Resource("", "v1", "Secret", "secrets", namespaced=True),
        Resource("", "v1", "Namespace", "namespaces", namespaced=False),
        Resource("apps", "v1", "Deployment", "deployments", namespaced=True),
    ]
)
REVISION = Revision("1" * 40, "main", "dev", 0)


def config(name: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n"


def secret(name: str) -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{a: b}}\n"


def workload(name: str, uses: str) -> str:
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: a}}}}
  template:
    metadata: {{labels: {{app: a}}}}
    spec:
      containers:
      - name: a
        image: a
        envFrom: [{{secretRef: {{name: {uses}}}}}]
"""


BROKEN = "apiVersion: v1\nkind: [\n"


@dataclass
class Case:
    files: dict[str, str]
    objects: str
    held: str = ""
    untrusted: tuple[str, ...] = ()
    recorded: dict[str, str] = field(default_factory=dict)
    """Name of a ConfigMap → the file it was recorded for."""


CASES = {
    "nothing wrong": Case({"a.yaml": config("a") + "---\n" + secret("s")}, "a s"),
    "a broken file leaves the others": Case({"a.yaml": config("a"), "b.yaml": BROKEN}, "a"),
    "a broken file holds what was recorded for it": Case(
        {"a.yaml": config("a"), "b.yaml": BROKEN}, "a", "b", recorded={"b": "b.yaml", "a": "a.yaml"}
    ),
    "an untrusted file holds what it names, and leaves it out": Case(
        {"a.yaml": config("a"), "s.yaml": secret("s")}, "a", "s", untrusted=("s.yaml",)
    ),
    "a workload is held with its secret": Case(
        {"s.yaml": secret("s"), "w.yaml": workload("w", "s"), "x.yaml": workload("x", "other")},
        "w x",
        "s w",
        untrusted=("s.yaml",),
    ),
    "a document without a name holds nothing else": Case(
        {"a.yaml": config("a") + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {}\n"}, "a"
    ),
    "an unknown kind is held alone": Case(
        {"a.yaml": config("a"), "b.yaml": "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: t}\n"}, "a", "t"
    ),
    "a foreign namespace is held alone": Case(
        {"a.yaml": config("a"), "b.yaml": config("f").replace("name: f", "name: f, namespace: other")}, "a", "f"
    ),
    "the same object twice is held": Case(
        {"a.yaml": config("a"), "b.yaml": config("b"), "c.yaml": config("b")}, "a", "b"
    ),
}


def compute(case: Case, *, layered: bool = False) -> compiler.DesiredState:
    files = [File(path, "0" * 40, text.encode(), 0) for path, text in case.files.items()]
    recorded = {
        ObjectId("", "ConfigMap", "shop", name): ObjectRecord("v1", uid="u", files=(path,))
        for name, path in case.recorded.items()
    }
    return compiler.compute(
        REVISION,
        documents.parse(files),
        untrusted={path: MacMismatchError("the file was altered", file=path) for path in case.untrusted},
        refused=(),
        layered=layered,
        kinds=KINDS,
        places=Places("shop"),
        recorded=ApplicationRecord(objects=recorded).of_file,
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_held(case: Case) -> None:
    state = compute(case)
    assert {key.name for key in state.objects} == set(case.objects.split())
    assert {key.name for key in state.held} == set(case.held.split())
    assert state.incomplete == (case.objects != "a s")


def test_with_layers_a_broken_file_stops_every_new_state() -> None:
    with pytest.raises(UnknownChangeError) as caught:
        compute(CASES["a broken file leaves the others"], layered=True)
    assert [problem.file for problem in caught.value.problems] == ["b.yaml"]
    assert caught.value.message.startswith("skipping this revision")
    assert caught.value.facts["file"] == "b.yaml"


def test_with_layers_an_untrusted_file_holds_no_more_than_without() -> None:
    case = CASES["an untrusted file holds what it names, and leaves it out"]
    assert compute(case, layered=True).held.keys() == compute(case).held.keys()


def test_what_fails_later_holds_its_dependents_too() -> None:
    state = compute(Case({"s.yaml": secret("s"), "w.yaml": workload("w", "s"), "a.yaml": config("a")}, ""))
    held = state.holding({ObjectId("", "Secret", "shop", "s"): StoreUnavailableError("sealed")}).held
    assert {key.name for key in held} == {"s", "w"}
