"""Hashes of passwords that a chart asks for, with the real renderer: of sealed and of clear ones, and the same ones as long as the password is."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import bcrypt
import pytest
from memory_world import sources
from memory_world.sealed_files import encrypt
from whole_runs.installation import Installation

from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from agent.adapters.render.pool import Renderers

CHART = "apiVersion: v2\nname: shop\nversion: 1.2.3\n"
REGISTRY = """\
apiVersion: v1
kind: Secret
metadata: {name: registry}
data:
  users: {{ htpasswd .Values.user .Values.password | b64enc | quote }}
  admin: {{ (split ":" (htpasswd "" .Values.password))._1 | b64enc }}
stringData:
  url: {{ printf "x %s y" (bcrypt .Values.password) | quote }}
"""
OTHER = """\
apiVersion: v1
kind: Secret
metadata: {name: other}
stringData: {host: {{ .Values.host | quote }}}
"""
WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {checksum/registry: {{ include (print $.Template.BasePath "/registry.yaml") . | sha256sum }}}
    spec:
      containers:
        - {name: web, image: "web:1", envFrom: [{secretRef: {name: registry}}]}
"""
VALUES = "user: ann\npassword: ''\nhost: a\n"


def chart(password: str = "hunter2", values: str = VALUES, **templates: str) -> dict[str, str]:
    named = {f"chart/templates/{name}.yaml": text for name, text in (templates or {"registry": REGISTRY}).items()}
    sealed = encrypt(f"password: {password}\n", "secrets.yaml")
    return {"chart/Chart.yaml": CHART, "chart/values.yaml": values, "secrets.yaml": sealed, **named}


def world(renderers: Renderers, files: dict[str, str], **spec: object) -> Installation:
    helm = {"chart": {"path": "chart"}, "valuesFiles": ["secrets.yaml"]}
    made = Installation(files=files, render={"helm": helm}, **spec)  # pyright: ignore[reportArgumentType]
    made.renderers = sources.Renderers(renderers)
    return made


def plain(made: Installation, name: str, key: str) -> str:
    value = made.value(f"Secret/{name}", "data", key)
    return base64.b64decode(str(reveal(value) if isinstance(value, Secret) else value)).decode()


def found(made: Installation) -> dict[str, str]:
    return {key: plain(made, "registry", key) for key in ("users", "admin", "url")}


def is_hash(text: str, password: str) -> bool:
    return text.startswith("$2a$10$") and bcrypt.checkpw(password.encode(), text.encode())


async def test_hashes_of_a_sealed_password_are_what_helm_gives_and_stay(renderers: Renderers) -> None:
    files = chart(registry=REGISTRY, other=OTHER, workload=WORKLOAD)
    made = world(renderers, files)
    ran = await made.run()
    assert ran.problems == []
    before = found(made)
    user, _, of_user = before["users"].partition(":")
    hashes = [of_user, before["admin"], before["url"].removeprefix("x ").removesuffix(" y")]
    assert user == "ann"
    assert all(is_hash(each, "hunter2") for each in hashes)
    assert len(set(hashes)) == 3
    assert (await made.run()).quiet
    made.lose_record()
    made.restart()
    ran = await made.run()
    assert (ran.problems, found(made)) == ([], before)
    made.push({**files, "chart/values.yaml": VALUES.replace("host: a", "host: b")})
    assert (await made.run()).writes == ["apply Secret/other"]
    made.push({**files, "chart/templates/registry.yaml": "{{- /* more\nlines */ -}}\n" + REGISTRY})
    await made.run()
    assert found(made) == before
    shown = repr((ran.audit, ran.status, ran.messages, ran.problems, ran.changes))
    assert not any(each in shown for each in ("hunter2", *hashes))


async def test_another_password_has_other_hashes_and_restarts_what_names_them(renderers: Renderers) -> None:
    made = world(renderers, chart(registry=REGISTRY, workload=WORKLOAD))
    await made.run()
    before = found(made)
    made.push(chart("letmein", registry=REGISTRY, workload=WORKLOAD))
    ran = await made.run()
    assert ran.writes == ["apply Secret/registry", "apply Deployment/web"]
    after = found(made)
    assert is_hash(after["admin"], "letmein")
    assert before["admin"] != after["admin"]
    assert not is_hash(after["admin"], "hunter2")


async def test_a_deleted_secret_gets_the_same_hashes(renderers: Renderers) -> None:
    made = world(renderers, chart())
    await made.run()
    before = found(made)
    made.delete("Secret/registry")
    ran = await made.heal()
    assert (ran.writes, found(made)) == (["apply Secret/registry"], before)


def standing(of: str) -> tuple[str, str]:
    """A Secret of Helm's, and the hash that it holds."""
    known = bcrypt.hashpw(of.encode(), bcrypt.gensalt(10, b"2a")).decode()
    data = base64.b64encode(f"ann:{known}".encode()).decode()
    head = "apiVersion: v1\nkind: Secret\nmetadata: {name: registry, namespace: shop}\n"
    return f"{head}data: {{users: {data}}}\n", known


ONE = "apiVersion: v1\nkind: Secret\nmetadata: {name: registry}\ndata: {users: {{ htpasswd .Values.user .Values.password | b64enc }}}\n"


async def test_a_release_that_is_taken_over_keeps_its_hash_and_nothing_restarts(renderers: Renderers) -> None:
    made = world(renderers, chart(registry=ONE, workload=WORKLOAD))
    secret, known = standing("hunter2")
    made.make(secret, "helm")
    for _ in range(2):
        ran = await made.run()
        assert (ran.problems, plain(made, "registry", "users")) == ([], f"ann:{known}")
        made.push(chart(registry="\n" + ONE, workload=WORKLOAD))
    made.restart()
    assert (await made.run()).writes == []


async def test_a_hash_of_another_password_is_replaced(renderers: Renderers) -> None:
    made = world(renderers, chart(registry=ONE))
    secret, known = standing("changeme")
    made.make(secret, "helm")
    assert (await made.run()).problems == []
    user, _, made_hash = plain(made, "registry", "users").partition(":")
    assert (user, is_hash(made_hash, "hunter2"), made_hash == known) == ("ann", True, False)


async def test_an_edited_hash_is_healed_unless_it_is_of_the_password(renderers: Renderers) -> None:
    made = world(renderers, chart(registry=ONE))
    await made.run()
    before = plain(made, "registry", "users")
    made.edit("Secret/registry", "data", "users", to=base64.b64encode(b"ann:x").decode())
    assert (await made.heal()).writes == ["apply Secret/registry"]
    assert plain(made, "registry", "users") == before


CLEAR = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: users}
data: {users: {{ htpasswd "ann" "public" | quote }}}
"""


async def test_a_hash_of_clear_text_may_stand_anywhere(renderers: Renderers) -> None:
    made = world(renderers, chart(users=CLEAR))
    assert (await made.run()).problems == []
    value = str(made.value("ConfigMap/users", "data", "users"))
    assert is_hash(value.removeprefix("ann:"), "public")
    assert (await made.run()).quiet


async def test_a_hash_of_a_sealed_value_is_as_secret_as_that(renderers: Renderers) -> None:
    made = world(renderers, chart(users=CLEAR.replace('"public"', ".Values.password")))
    ran = await made.run()
    assert (ran.writes, [each.reason for each in ran.errors]) == ([], ["Sink"])


@pytest.mark.parametrize("password", ["x" * 73, "ü" * 37])
async def test_a_password_that_bcrypt_does_not_take_holds_the_object(renderers: Renderers, password: str) -> None:
    made = world(renderers, chart(password, registry=ONE))
    ran = await made.run()
    (error,) = ran.errors
    assert (ran.writes, error.reason, error.facts["function"]) == ([], "SecretValue", "bcrypt")
    assert password not in repr((ran.errors, ran.audit, ran.status))


MANY = "apiVersion: v1\nkind: Secret\nmetadata: {name: s%d}\nstringData:\n{{- range until %d }}\n  k{{ . }}: {{ $.Values.password | bcrypt }}\n{{- end }}\n"


async def test_one_object_has_so_many_hashes_and_a_chart_twice_as_many(renderers: Renderers) -> None:
    made = world(renderers, chart(a=MANY % (1, 33)))
    ran = await made.run()
    assert (ran.writes, [each.reason for each in ran.errors]) == ([], ["Limit"])
    made = world(renderers, chart(a=MANY % (1, 32), b=MANY % (2, 32), c=MANY % (3, 1)))
    ran = await made.run()
    assert (ran.writes, [each.reason for each in ran.errors]) == ([], ["Limit"])


DERIVED = """\
apiVersion: v1
kind: Secret
metadata: {name: registry}
stringData: {pin: {{ derivePassword 1 "long" .Values.password "ann" "example.com" | quote }}}
"""


async def test_a_password_that_is_derived_from_a_sealed_one_is_what_helm_derives(renderers: Renderers) -> None:
    made = world(renderers, chart(registry=DERIVED))
    assert (await made.run()).problems == []
    sealed = plain(made, "registry", "pin")
    clear = world(renderers, chart(registry=DERIVED.replace(".Values.password", '"hunter2"')))
    assert (await clear.run()).problems == []
    assert plain(clear, "registry", "pin") == sealed
