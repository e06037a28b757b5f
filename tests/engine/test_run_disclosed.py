"""Disclosed variables: sealed values that Application and operator make clear text, for names and hosts, and no others."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation
from whole_runs.previewing import User, asking

from agent.sops.format.selection import EVERYTHING
from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["asking"]

CANARY = "canary-that-stays-sealed"
GRANT = {"applicationNamespace": "shop", "variables": ["DOMAIN", "SECRET_*"]}
HOST = "shop.example.com"
FILES = {
    "app/a.yaml": m.config("web-${DOMAIN}", data="https://${DOMAIN}"),
    "app/s.yaml": m.secret("s", "${PW}@${DOMAIN}"),
}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def live(**values: str) -> str:
    lines = "".join(f"  {key}: {encoded(value)}\n" for key, value in values.items())
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: vars\n  namespace: shop\ndata:\n{lines}"


def world(
    files: dict[str, str] | None = None, /, *given: str, grant: object = GRANT, **substitute: object
) -> Installation:
    operator = m.operator(disclosures=[grant] if grant else [])
    spec = {"disclose": ["DOMAIN"], **substitute}
    made = Installation(files=files or FILES, layers=["app"], operator=operator, substitute=spec)
    for text in given:
        made.make(text)
    made.stores.write("kv/db", domain=HOST, password=CANARY)
    return made


def text_of(value: object) -> str:
    return str(reveal(value) if isinstance(value, Secret) else value)


SECRET = {"from": [{"kind": "Secret", "name": "vars"}]}
SEALED = {"vars.yaml": encrypt(f"DOMAIN: {HOST}\nPW: {CANARY}\n", "vars.yaml", selection=EVERYTHING)}
STORE = {"DOMAIN": "${vault://main/kv/db#domain}", "PW": "vault://main/kv/db#password"}
SOURCES = {
    "a Secret": (FILES, (live(DOMAIN=HOST, PW=CANARY),), SECRET),
    "a SOPS file": ({**FILES, **SEALED}, (), {"files": ["vars.yaml"]}),
    "a store": (FILES, (), {"variables": STORE}),
}


@pytest.mark.parametrize("source", SOURCES)
async def test_a_disclosed_value_is_text_wherever_git_puts_it_and_others_stay_sealed(source: str) -> None:
    files, given, substitute = SOURCES[source]
    made = world(files, *given, **substitute)
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([], [f"apply ConfigMap/web-{HOST}", "apply Secret/s"])
    assert made.value(f"ConfigMap/web-{HOST}", "data", "value") == f"https://{HOST}"
    assert text_of(made.value("Secret/s", "data", "password")) == encoded(f"{CANARY}@{HOST}")
    assert CANARY not in repr((ran.audit, ran.status, ran.messages, ran.warnings))
    again = await made.run()
    assert (again.quiet, [each for each in again.audit if each.action == "disclose"]) == (True, [])


async def test_the_trail_and_the_status_name_it_and_never_its_value() -> None:
    made = world(FILES, live(DOMAIN=HOST, PW=CANARY), **SECRET)
    ran = await made.run()
    [entry] = [each for each in ran.audit if each.action == "disclose"]
    assert (entry.facts, entry.secrets) == ({"variable": "DOMAIN"}, ("live:v1/Secret/shop/vars#data.DOMAIN",))
    assert HOST not in repr(entry)
    [warning] = [each for each in ran.status.warnings if each.reason == "Disclosed"]
    assert "DOMAIN" in warning.message
    assert HOST not in warning.message


@pytest.mark.parametrize(
    ("grant", "asked"),
    [
        (None, ["DOMAIN"]),
        (GRANT, []),
        ({**GRANT, "variables": ["OTHER"]}, ["DOMAIN"]),
        ({**GRANT, "applicationNamespace": "other"}, ["DOMAIN"]),
        ({**GRANT, "applicationName": "api*"}, ["DOMAIN"]),
    ],
)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "manifest",
    [m.config("web-${DOMAIN}"), m.config("a", data="https://${DOMAIN}"), m.config("a", "", None, **{"${DOMAIN}": ""})],
)
async def test_without_both_consents_it_is_sealed_and_the_error_names_the_cure(
    grant: object, asked: list[str], source: str, manifest: str
) -> None:
    files, given, substitute = SOURCES[source]
    made = world({**files, "app/a.yaml": manifest}, *given, grant=grant, **{**substitute, "disclose": asked})
    ran = await made.run()
    assert ran.writes == ["apply Secret/s"]
    [error] = ran.errors
    assert (error.facts["variable"], error.reason in {"Sink", "Placeholder"}) == ("DOMAIN", True)
    assert "spec.substitute.disclose" in error.hint
    assert not [each for each in ran.audit if each.action == "disclose"]


async def test_another_value_in_the_cluster_or_in_a_store_is_applied() -> None:
    made = world(FILES, live(DOMAIN=HOST, PW=CANARY), **SECRET)
    await made.run()
    made.edit("Secret/vars", "data", "DOMAIN", to=encoded("new.example.com"))
    ran = await made.run()
    assert "apply ConfigMap/web-new.example.com" in ran.writes
    made = world(FILES, variables=STORE)
    await made.run()
    made.stores.write("kv/db", domain="new.example.com", password=CANARY)
    ran = await made.run()
    assert "apply ConfigMap/web-new.example.com" in ran.writes


async def test_another_value_of_a_store_is_applied_while_the_next_commit_waits() -> None:
    made = world(FILES, variables=STORE)
    await made.run()
    made.spec(dependsOn=[{"name": "db"}])
    await made.run("spec")
    made.push({**FILES, "app/new.yaml": m.config("new")})
    assert (await made.run()).ready == "DependencyNotReady"
    made.stores.write("kv/db", domain="new.example.com", password=CANARY)
    ran = await made.run()
    assert (ran.problems, ran.ready) == ([], "DependencyNotReady")
    assert {"apply ConfigMap/web-new.example.com", f"delete ConfigMap/web-{HOST}"} <= {*ran.writes}
    assert made.live("ConfigMap/new") is None


async def test_a_store_whose_value_cannot_be_text_leaves_the_last_good_state() -> None:
    made = world(FILES, variables=STORE)
    await made.run()
    made.stores.write("kv/db", domain="sGnT0k" + "a" * 24 + "K0tNgS", password=CANARY)
    for _ in range(2):
        made.edit(f"ConfigMap/web-{HOST}", "data", "value", to="edited")
        ran = await made.run()
        assert (ran.writes, ran.problems) == ([f"apply ConfigMap/web-{HOST}"], ["Placeholder"])


async def test_what_cannot_be_compiled_again_is_named_by_a_new_process_too() -> None:
    made = world(FILES, live(PW=CANARY, DOMAIN=HOST), **SECRET)
    await made.run()
    made.spec(dependsOn=[{"name": "db"}])
    await made.run("spec")
    made.push({**FILES, "app/new.yaml": m.config("new")})
    made.edit("Secret/vars", "data", "DOMAIN", to=encoded("sGnT0k" + "a" * 24 + "K0tNgS"))
    problems: list[list[str]] = []
    for _ in range(2):
        ran = await made.run()
        assert await made.probe() is None, "it was tried with these values"
        problems.append([each.split(" ")[0] for each in ran.problems])
        made.restart()
    assert problems == [["Placeholder"], ["Placeholder"]]


async def test_operators_take_a_disclosed_value_in_a_secret_too() -> None:
    files = {"app/s.yaml": m.secret("s", "${DOMAIN%.com}")}
    made = world(files, live(DOMAIN=HOST), **SECRET)
    ran = await made.run()
    assert ran.problems == []
    assert text_of(made.value("Secret/s", "data", "password")) == encoded("shop.example")


async def test_in_data_of_a_secret_it_stays_sealed() -> None:
    made = world({"app/s.yaml": m.secret("s", "${DOMAIN}")}, live(DOMAIN=HOST), **SECRET)
    ran = await made.run()
    [entry] = [each for each in ran.audit if each.phase == "intent"]
    assert entry.secrets == ("live:v1/Secret/shop/vars#data.DOMAIN",)
    assert not [each for each in ran.warnings if each.startswith("Plaintext")]


@pytest.mark.parametrize(
    ("value", "reason"), [("sGnT0k" + "a" * 24 + "K0tNgS", "Placeholder"), (b"\xff\xfe", "SecretValue")]
)
async def test_a_value_that_cannot_be_text_leaves_the_last_good_state(value: str | bytes, reason: str) -> None:
    raw = base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
    made = world(FILES, live(PW="x").replace("data:\n", f"data:\n  DOMAIN: {raw}\n"), **SECRET)
    ran = await made.run()
    assert (ran.problems[0].split(" ")[0], ran.writes) == (reason, [])
    assert ran.errors[0].facts["variable"] == "DOMAIN"


async def test_a_store_that_does_not_answer_is_waited_for() -> None:
    made = world(FILES, variables={**STORE, "DOMAIN": "vault://main/kv/none#x"})
    ran = await made.run()
    assert (ran.problems[0].split(" ")[0], ran.writes) == ("StoreNotFound", [])


async def test_the_command_shows_it_as_text_where_it_may_be_opened(asking: Callable[..., User]) -> None:
    files = {"app/a.yaml": FILES["app/a.yaml"]}
    made = world(files, live(DOMAIN=HOST, PW=CANARY), **SECRET)
    await made.run()
    user = asking(made)
    said = await user.diff(files)
    assert (said.code, said.actions, said.problems) == (0, {}, [])
    code, out, err = await user.render(files, "--context", "test")
    assert (code, f"name: web-{HOST}" in out) == (0, True)
    assert "disclosed" in err
    files = {**files, "vars.yaml": SEALED["vars.yaml"]}
    made.spec(substitute={"files": ["vars.yaml"], "disclose": ["DOMAIN"]})
    code, out, err = await user.render(files)
    assert (code, out) == (1, "")
    assert "a disclosed variable is not opened here" in err
