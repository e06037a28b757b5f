"""References in variables that others write: objects of the cluster and values of stores name nothing in a store."""

from __future__ import annotations

import base64

import pytest
from whole_runs import manifests as m
from whole_runs.installation import Installation

CANARY = "canary-of-the-store"
REFERENCE = "vault://main/kv/db#password"
GRANT = {"applicationNamespace": "shop", "variables": ["*"]}


def of_cluster(kind: str, **values: str) -> str:
    if kind == "ConfigMap":
        return m.config("vars", "", None, **values).replace("name: vars", "name: vars\n  namespace: shop")
    lines = "".join(f"  {key}: {base64.b64encode(value.encode()).decode()}\n" for key, value in values.items())
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: vars\n  namespace: shop\ndata:\n{lines}"


def world(text: str, given: str, kind: str, **substitute: object) -> Installation:
    made = Installation(
        files={"app/a.yaml": m.config("a", data=text), "app/s.yaml": m.secret("s", "x")},
        layers=["app"],
        operator=m.operator(disclosures=[GRANT], sinks={"configMaps": True}),
        secrets={"allow": ["ConfigMap"]},
        substitute={"from": [{"kind": kind, "name": "vars"}], **substitute},
    )
    made.make(given)
    made.stores.write("kv/db", password=CANARY)
    made.stores.write("kv/prod", password="of-prod")
    return made


@pytest.mark.parametrize("disclose", [[], ["A"]])
@pytest.mark.parametrize("value", [REFERENCE, f"${{{REFERENCE}}}", f"https://u:${{{REFERENCE}}}@h"])
@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
async def test_an_object_of_the_cluster_names_no_reference(kind: str, value: str, disclose: list[str]) -> None:
    made = world("${A}", of_cluster(kind, A=value), kind, disclose=disclose)
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([f"Substitution {kind}/vars"], [])
    assert ran.errors[0].facts["variable"] == "A"
    assert "spec.substitute.variables" in ran.errors[0].hint


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("${A}${B}", {"A": "vault:", "B": "//main/kv/db#password"}),
        ("${A#x}", {"A": f"x{REFERENCE}"}),
        ("${A,,}", {"A": REFERENCE.upper()}),
        ("x $$${A}", {"A": f"{{{REFERENCE}}}"}),
        ("${U:-${A}${B}}", {"A": "vault:", "B": "//main/kv/db#password"}),
        ("vault://main/kv/${A}", {"A": "db#password"}),
        ("vault://main/${A}/db#password", {"A": "kv/other"}),
    ],
)
async def test_no_reference_is_made_of_its_parts(text: str, values: dict[str, str]) -> None:
    made = world(text, of_cluster("ConfigMap", **values), "ConfigMap")
    ran = await made.run()
    assert (ran.problems, ran.writes) == (["Substitution ConfigMap/a"], ["apply Secret/s"])


async def test_a_segment_of_a_path_may_be_a_variable_of_the_cluster_and_the_application_names_any_reference() -> None:
    made = world("vault://main/kv/${ENV}#password", of_cluster("ConfigMap", ENV="prod"), "ConfigMap")
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([], ["apply ConfigMap/a", "apply Secret/s"])
    made = world("${A}", of_cluster("ConfigMap", A="x"), "ConfigMap", variables={"A": REFERENCE})
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([], ["apply ConfigMap/a", "apply Secret/s"])


async def test_what_a_store_gives_for_a_disclosed_variable_names_no_reference() -> None:
    made = world(
        "${A}", of_cluster("ConfigMap", B="x"), "ConfigMap", variables={"A": "vault://main/kv/x#y"}, disclose=["A"]
    )
    made.stores.write("kv/x", y=REFERENCE)
    ran = await made.run()
    assert (ran.problems, ran.writes) == (["Substitution ConfigMap/a"], ["apply Secret/s"])
