"""What a commit has in the clear, or left for another tool to fill in: warned of, or held where the operator is strict. As tables."""

from __future__ import annotations

import pytest

from agent.api import application as applications
from agent.api import operator
from agent.api.status import ApplicationStatus
from agent.controllers import status
from agent.controllers.status import Standing
from agent.desired import cautions, compiler
from agent.desired.cautions import Strictness
from agent.engine.causes import Trigger
from agent.engine.outcome import Outcome
from agent.engine.record import ApplicationRecord
from agent.engine.state import State
from agent.manifests import documents
from agent.manifests.documents import File
from agent.manifests.kinds import Kinds, Resource
from agent.manifests.places import Places
from agent.values.ids import Revision

KINDS = Kinds(
    [
        Resource("", "v1", "ConfigMap", "configmaps", namespaced=True),
        Resource("", "v1", "Secret", "secrets", namespaced=True),
        Resource("", "v1", "Pod", "pods", namespaced=True),
        Resource(
            "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
        ),
    ]
)
CANARY = "canary-of-cautions-4711"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n"
SOPS = """\
sops:
  age: [{recipient: age1x, enc: "-----BEGIN AGE ENCRYPTED FILE-----"}]
  lastmodified: "2026-01-01T00:00:00Z"
  mac: ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:str]
  encrypted_regex: ^(data|stringData)$
  version: 3.9.0
"""
VALUE = "ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:str]"
TOKEN = "type: kubernetes.io/service-account-token\ndata: {extra: eHg=}\n"
COPY = 'metadata:\n  name: db\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: \'{"data":{"a":"eHg="}}\'\n'


def state(files: dict[str, str], strict: Strictness = Strictness()) -> compiler.DesiredState:  # noqa: B008
    return compiler.compute(
        Revision("1" * 40, "main", "dev", 0),
        documents.parse(File(path, "0" * 40, text.encode(), 0) for path, text in files.items()),
        untrusted={},
        refused=(),
        layered=True,
        kinds=KINDS,
        places=Places("shop"),
        recorded=ApplicationRecord().of_file,
        strict=strict,
    )


def warned(text: str) -> list[tuple[str, str]]:
    found = state({"a.yaml": text})
    assert not found.problems, "a warning holds nothing"
    return [(each.error.reason, str(each.error.facts.get("fields", ""))) for each in found.warnings]


def config(value: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n  a: {value}\n"


PLAINTEXT = {
    "data": (SECRET + "data: {a: eHg=}\n", "data.a"),
    "stringData": (SECRET + f"stringData: {{a: {CANARY}, b: ''}}\n", "stringData.a"),
    "both, with another type": (
        SECRET + "type: kubernetes.io/tls\ndata: {tls.key: eHg=}\nstringData: {b: x}\n",
        'data["tls.key"], stringData.b',
    ),
    "in a List": (
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: db}, stringData: {a: x}}\n",
        "stringData.a",
    ),
    "in JSON": ('{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db"},"data":{"a":"eHg="}}', "data.a"),
    "a copy by kubectl": (
        SECRET.replace("metadata: {name: db}\n", COPY),
        'metadata.annotations["kubectl.kubernetes.io/last-applied-configuration"]',
    ),
    "one of two is a reference": (SECRET + "stringData: {a: 'vault://main/kv/db#a', b: x}\n", "stringData.b"),
    "many": (
        SECRET + "stringData:\n" + "".join(f"  k{number:02}: x\n" for number in range(14)),
        ", ".join(f"stringData.k{number:02}" for number in range(10)) + " and 4 more",
    ),
}


@pytest.mark.parametrize(("text", "fields"), PLAINTEXT.values(), ids=PLAINTEXT.keys())
def test_a_secret_in_the_clear_is_a_warning_that_names_its_fields(text: str, fields: str) -> None:
    assert warned(text) == [("PlaintextSecret", fields)]
    assert str(state({"a.yaml": text}).warnings[0].object) == "Secret shop/db"


@pytest.mark.parametrize(("text", "fields"), PLAINTEXT.values(), ids=PLAINTEXT.keys())
def test_who_is_strict_has_it_held(text: str, fields: str) -> None:
    found = state({"a.yaml": text, "b.yaml": config("b")}, Strictness(plaintext=True))
    assert [key.name for key in found.held] == ["db"]
    assert [problem.error.reason for problem in found.problems] == ["PlaintextSecret"]
    assert found.problems[0].error.facts["fields"] == fields
    assert [key.name for key in found.objects] == ["c"]
    assert not found.warnings


SILENT = {
    "an empty Secret": SECRET,
    "a Secret of empty values": SECRET + "stringData: {a: ''}\ndata: {b: null}\n",
    "a service account token": SECRET + TOKEN,
    "references alone": SECRET + "stringData: {a: 'vault://main/kv/db#a', b: 'x ${vault://main/kv/db#b}'}\n",
    "a ConfigMap that speaks of Secrets": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s}\ndata: {kind: Secret}\n",
    "an encrypted Secret": SECRET + f"type: Opaque\nstringData: {{a: '{VALUE}'}}\n" + SOPS,
    "Kubernetes' own variables": config("$(HOME)"),
    "a shell variable without braces": config("$HOME"),
    "a script of several lines": config("|\n    echo ${HOME}\n    exit"),
    "a reference": config("x ${vault://main/kv/db#a}"),
    "digits of a regular expression": config("/${1}"),
    "what a CRD says of its fields": (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x}\n"
        "spec: {versions: [{schema: {description: 'such as ${HOME}'}}]}\n"
    ),
}


@pytest.mark.parametrize("text", SILENT.values(), ids=SILENT.keys())
def test_what_is_meant_is_no_warning(text: str) -> None:
    assert warned(text) == []


VARIABLES = {
    "a value": config("${NAME}"),
    "in a text": config("https://${HOST}/x"),
    "with a default": config("'${NAME:-other}'"),
    "Flux' default": config("'${NAME:=other}'"),
    "a key": config("x").replace("  a:", "  ${NAME}:"),
    "an annotation": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: {a: '${NAME}'}}\n",
    "in a list": "apiVersion: v1\nkind: Pod\nmetadata: {name: c}\nspec: {containers: [{name: a, image: 'a:${TAG}'}]}\n",
    "escaped for another tool": config("$${NAME}"),
}


@pytest.mark.parametrize("text", VARIABLES.values(), ids=VARIABLES.keys())
def test_a_variable_is_applied_as_text_and_warned_of(text: str) -> None:
    assert warned(text) == [("Variables", "")]


def test_of_variables_there_is_one_warning_that_names_the_files() -> None:
    files = {f"{number:02}.yaml": config("${NAME}").replace("name: c", f"name: c{number}") for number in range(12)}
    [warning] = state(files).warnings
    assert warning.error.facts["files"] == ", ".join(list(files)[:10]) + " and 2 more"


CLEAR = {
    "a bool of a workload": ("spec: {privileged: false}\n", "spec.privileged"),
    "null": (f"stringData: {{a: '{VALUE}', b: null}}\n", "stringData.b"),
    "an empty text": (f"stringData: {{a: '{VALUE}', b: ''}}\n", "stringData.b"),
    "an empty map": (f"stringData: {{a: '{VALUE}'}}\ndata: {{}}\n", "data"),
    "an empty list below another": ("spec: {ingress: [[], {from: {}}]}\n", "spec.ingress[0], spec.ingress[1].from"),
    "immutable": (f"immutable: true\nstringData: {{a: '{VALUE}'}}\n", "immutable"),
    "a list": ("items: [1, 2]\n", "items[0], items[1]"),
    "type further down": (f"stringData: {{a: '{VALUE}'}}\nspec: {{type: x}}\n", "spec.type"),
}


@pytest.mark.parametrize(("text", "fields"), CLEAR.values(), ids=CLEAR.keys())
def test_a_clear_value_of_a_sops_file_is_a_warning_and_held_where_the_operator_says_so(text: str, fields: str) -> None:
    files = {"a.yaml": SECRET + "type: Opaque\n" + text + SOPS, "b.yaml": config("b")}
    lenient = state(files)
    assert [(each.error.reason, each.error.facts["fields"]) for each in lenient.warnings] == [("ClearValues", fields)]
    assert not lenient.problems
    held = state(files, Strictness(clear_values=True))
    assert [key.name for key in held.held] == ["db"]
    assert [problem.error.reason for problem in held.problems] == ["ClearValues"]
    assert [key.name for key in held.objects] == ["c"]


def test_where_the_mac_covers_no_clear_value_they_can_be_changed() -> None:
    text = SECRET + f"immutable: true\nstringData: {{a: '{VALUE}'}}\n" + SOPS
    only = text.replace("  version:", "  mac_only_encrypted: true\n  version:")
    [swapped], [changed] = (state({"a.yaml": each}).warnings for each in (text, only))
    assert "can be swapped unnoticed" in swapped.error.message
    assert changed.error.message == "the MAC does not cover clear-text values, so they can be changed unnoticed"


def test_a_value_that_the_rule_of_a_sops_file_leaves_out_is_a_secret_in_the_clear_too() -> None:
    text = SECRET + f"stringData: {{a: '{VALUE}'}}\ndata: {{b: eHg=}}\n" + SOPS.replace("data|stringData", "stringData")
    assert warned(text) == [("PlaintextSecret", "data.b"), ("ClearValues", "data.b")]


STRICT = [
    ({}, {}, Strictness()),
    ({"plaintext": "deny"}, {}, Strictness(plaintext=True)),
    ({}, {"secrets": {"plaintext": "deny"}}, Strictness(plaintext=True)),
    ({"plaintext": "warn"}, {"secrets": {"plaintext": "deny"}}, Strictness(plaintext=True)),
    ({}, {"sops": {"clearValues": "hold"}}, Strictness(clear_values=True)),
]


@pytest.mark.parametrize(("asked", "settings", "wanted"), STRICT)
def test_the_stricter_of_operator_and_application_counts(asked: dict, settings: dict, wanted: Strictness) -> None:
    assert cautions.strictness(operator.parse(settings), application(asked)) == wanted


def test_warnings_stand_in_the_status_and_ready_does_not_depend_on_them() -> None:
    found = state({"a.yaml": SECRET + f"stringData: {{a: {CANARY}}}\n", "b.yaml": config("${NAME}")})
    reported = reported_of(found)
    assert {each.type: each.status for each in reported.conditions}["Ready"] == "True"
    assert [(each.reason, each.file) for each in reported.warnings] == [
        ("PlaintextSecret", "a.yaml:1"),
        ("Variables", ""),
    ]
    assert "b.yaml" in reported.warnings[1].message
    assert reported.counts.warnings == 2
    assert not reported.failures
    assert CANARY not in reported.model_dump_json()


def test_warnings_are_cut_before_failures_and_their_count_is_not() -> None:
    name = "n" * 200
    files = {f"{number}.yaml": SECRET.replace("db", f"{name}{number}") + "data: {a: eHg=}\n" for number in range(100)}
    reported = reported_of(state(files))
    assert len(reported.model_dump_json(by_alias=True)) <= 32 * 1024
    assert 0 < len(reported.warnings) <= 20
    assert reported.counts.warnings == 100


def application(secrets: dict) -> applications.Application:
    return applications.parse(
        {
            "apiVersion": "signet-gitops.dev/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
            "spec": {
                "source": {"url": "https://git.example.com/a.git", "revision": {"branch": "main"}},
                "secrets": secrets,
            },
        }
    )


def reported_of(found: compiler.DesiredState) -> ApplicationStatus:
    return status.compute(
        application({}),
        Standing(desired=found.objects),
        Outcome(State(), found, found.problems),
        ApplicationStatus(),
        triggers=frozenset({Trigger.INTERVAL}),
        started=0,
        now=1,
    )
