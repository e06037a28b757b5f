"""Values that a chart makes up, with the real renderer: made once, and kept whatever becomes of the chart, the agent and its record."""

from __future__ import annotations

import asyncio
import base64
import re
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from memory_world import sources
from memory_world.sealed_files import encrypt
from whole_runs.installation import Installation
from whole_runs.previewing import asking

from agent.engine.ports import Identity
from agent.sops.format.selection import Selection
from agent.values import sprig
from agent.values.errors import ForbiddenError
from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from whole_runs.previewing import User
    from whole_runs.ran import Ran

    from agent.adapters.render.pool import Renderers

__all__ = ["asking"]

CHART = "apiVersion: v2\nname: shop\nversion: 1.2.3\n"
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-db}
data:
  password: {{ randAlphaNum 16 | b64enc | quote }}
"""
SETTINGS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {host: {{ .Values.host | quote }}}
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {checksum/db: {{ include (print $.Template.BasePath "/secret.yaml") . | sha256sum }}}
    spec:
      containers:
        - name: web
          image: web:1
          env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: web-db, key: password}}}]
"""


def chart(values: str = "host: a\n", **templates: str) -> dict[str, str]:
    named = {f"chart/templates/{name}.yaml": text for name, text in templates.items()}
    return {"chart/Chart.yaml": CHART, "chart/values.yaml": values, **named}


def world(renderers: Renderers, files: dict[str, str], **spec: object) -> Installation:
    made = Installation(files=files, render={"helm": {"chart": {"path": "chart"}}}, **spec)  # pyright: ignore[reportArgumentType]
    made.renderers = sources.Renderers(renderers)
    return made


def text(made: Installation, name: str, *path: str | int) -> str:
    value = made.value(name, *path)
    return str(reveal(value) if isinstance(value, Secret) else value)


def plain(made: Installation, name: str, key: str) -> str:
    return base64.b64decode(text(made, f"Secret/{name}", "data", key)).decode()


def shown(ran: Ran) -> str:
    return repr((ran.audit, ran.status, ran.messages, ran.problems, ran.warnings, ran.errors, ran.changes))


async def test_a_password_is_made_once_and_stays_whatever_else_changes(renderers: Renderers) -> None:
    files = chart(secret=SECRET, settings=SETTINGS, deployment=DEPLOYMENT)
    made = world(renderers, files)
    ran = await made.run()
    assert ran.problems == []
    password = plain(made, "web-db", "password")
    assert re.fullmatch(r"[0-9A-Za-z]{16}", password)
    assert (await made.run()).quiet
    made.restart()
    assert (await made.run()).writes == []
    made.push({**files, "chart/values.yaml": "host: b\n"})
    assert (await made.run()).writes == ["apply ConfigMap/settings"]
    shifted = "{{- /* one more\nline */ -}}\n{{- $x := randAlpha 3 -}}\n" + SECRET.replace(
        "randAlphaNum 16", "randAlphaNum 32"
    )
    made.push({**files, "chart/values.yaml": "host: b\n", "chart/templates/secret.yaml": shifted})
    ran = await made.run()
    assert (ran.errors, ran.writes) == ([], [])
    made.lose_record()
    made.restart()
    ran = await made.run()
    assert ran.problems == []
    assert plain(made, "web-db", "password") == password
    assert password not in shown(ran)


SHARED = """\
{{- $pw := randAlphaNum 20 }}
apiVersion: v1
kind: Secret
metadata: {name: web-db}
data: {password: {{ $pw | b64enc }}}
---
apiVersion: v1
kind: Secret
metadata: {name: web-url}
stringData: {url: "postgres://shop:{{ $pw }}@db/shop"}
"""


async def test_what_another_object_holds_may_stand_in_other_text(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=SHARED))
    ran = await made.run()
    assert ran.problems == []
    password = plain(made, "web-db", "password")
    assert plain(made, "web-url", "url") == f"postgres://shop:{password}@db/shop"
    assert (await made.run()).quiet


async def test_an_edited_password_is_taken_wherever_it_stands(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=SHARED))
    await made.run()
    made.edit("Secret/web-db", "data", "password", to=base64.b64encode(b"rotated").decode())
    ran = await made.heal()
    assert (ran.problems, ran.writes) == ([], ["apply Secret/web-db", "apply Secret/web-url"])
    assert plain(made, "web-db", "password") == "rotated"
    assert plain(made, "web-url", "url") == "postgres://shop:rotated@db/shop"
    assert (await made.run()).quiet


REFUSED = {
    "in text": 'stringData: {url: "postgres://shop:{{ randAlphaNum 16 }}@db"}',
    "in metadata": "metadata: {name: web-db, annotations: {roll: {{ randAlphaNum 5 }}}}",
    "cut in two": "stringData: {a: {{ $x := randAlphaNum 9 }}{{ trunc 4 $x }}, b: {{ trunc -4 $x }}}",
    "with another and words": "stringData: {a: 'u={{ randAlphaNum 4 }} p={{ randAlphaNum 4 }}'}",
    "with others that are in another text": "stringData: {a: '{{ $x := randAlphaNum 9 }}{{ $x }}:{{ uuidv4 }}', b: '{{ $x }}-{{ uuidv4 }}'}",
    "as base64 that it is not": "data: {a: {{ randAlphaNum 16 }}}",
}


@pytest.mark.parametrize("field", REFUSED.values(), ids=REFUSED)
async def test_what_no_object_holds_alone_is_refused_with_template_and_line(renderers: Renderers, field: str) -> None:
    named = "" if field.startswith("metadata") else "metadata: {name: web-db}\n"
    made = world(renderers, chart(secret=f"apiVersion: v1\nkind: Secret\n{named}{field}\n", settings=SETTINGS))
    ran = await made.run()
    assert ran.writes == ["apply ConfigMap/settings"]
    (error,) = ran.errors
    assert (error.reason, error.facts["function"]) == ("RandomValue", "randAlphaNum")
    assert str(error).startswith(f"chart/templates/secret.yaml:{4 if named else 3}: ")


JOINED = """\
{{- $users := printf "%s:%s" (randAlpha 6) (randAlphaNum 20) }}
apiVersion: v1
kind: Secret
metadata: {name: web-db}
data: {users: {{ $users | b64enc | quote }}}
stringData: {token: "{{ randAlpha 1 }}{{ randAlphaNum 15 }}", again: "x {{ $users }} y"}
"""


async def test_several_values_in_one_text_are_one_value(renderers: Renderers) -> None:
    files = chart(secret=JOINED, deployment=DEPLOYMENT)
    made = world(renderers, files)
    ran = await made.run()
    assert ran.problems == []
    found = {key: plain(made, "web-db", key) for key in ("users", "token", "again")}
    assert re.fullmatch(r"[A-Za-z]{6}:[0-9A-Za-z]{20}", found["users"])
    assert re.fullmatch(r"[A-Za-z][0-9A-Za-z]{15}", found["token"])
    assert found["again"] == f"x {found['users']} y"
    assert (await made.run()).quiet
    made.push({**files, "chart/templates/secret.yaml": "{{- $x := randAlpha 3 }}\n" + JOINED})
    made.lose_record()
    made.restart()
    ran = await made.run()
    assert (ran.problems, {key: plain(made, "web-db", key) for key in found}) == ([], found)
    made.edit("Secret/web-db", "data", "users", to=base64.b64encode(b"ann:secret").decode())
    ran = await made.heal()
    assert (ran.problems, plain(made, "web-db", "again")) == ([], "x ann:secret y")


CHANGED = """\
{{- $token := randAlphaNum 40 | lower | trunc 32 }}
apiVersion: v1
kind: Secret
metadata: {name: web-db}
data: {token: {{ $token | b64enc }}}
stringData: {id: {{ uuidv4 | replace "-" "" | quote }}, url: "https://x:{{ $token }}@h"}
"""


async def test_what_functions_make_of_a_value_is_the_value_where_it_stands_alone(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=CHANGED))
    ran = await made.run()
    assert ran.problems == []
    found = {key: plain(made, "web-db", key) for key in ("token", "id", "url")}
    assert re.fullmatch(r"[0-9a-z]{32}", found["token"])
    assert re.fullmatch(r"[0-9a-f]{32}", found["id"])
    assert found["url"] == f"https://x:{found['token']}@h"
    made.lose_record()
    made.restart()
    ran = await made.run()
    assert (ran.problems, {key: plain(made, "web-db", key) for key in found}) == ([], found)


async def test_a_deleted_secret_is_not_made_again_until_that_is_confirmed(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=SHARED, settings=SETTINGS, deployment=DEPLOYMENT))
    await made.run()
    before = plain(made, "web-db", "password")
    made.delete("Secret/web-db")
    made.edit("ConfigMap/settings", "data", "host", to="edited")
    ran = await made.heal()
    assert ran.writes == ["apply ConfigMap/settings"]
    error = ran.error_of("Secret/web-db")
    assert (error.reason, error.facts["value"]) == ("GeneratedValueLost", "Secret shop/web-db#data.password")
    assert ran.error_of("Secret/web-url").reason == "GeneratedValueLost"
    made.annotate(confirm_new_values="0" * 12)
    assert (await made.run("spec")).writes == []
    word = str(error.facts["confirm"])
    made.annotate(confirm_new_values=word)
    ran = await made.run("spec")
    assert ran.problems == []
    after = plain(made, "web-db", "password")
    assert after != before
    assert plain(made, "web-url", "url") == f"postgres://shop:{after}@db/shop"
    assert {before, after}.isdisjoint(re.findall(r"[0-9A-Za-z]+", shown(ran)))
    made.delete("Secret/web-db")
    ran = await made.heal()
    assert (ran.writes, ran.error_of("Secret/web-db").reason) == ([], "GeneratedValueLost")
    assert ran.error_of("Secret/web-db").facts["confirm"] != word


async def test_a_removed_key_is_not_made_again_and_putting_it_back_ends_that(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=SECRET))
    await made.run()
    before = text(made, "Secret/web-db", "data", "password")
    made.replace("Secret/web-db", lambda tree: tree.update(data={"other": "eA=="}))
    ran = await made.heal()
    assert (ran.writes, ran.error_of("Secret/web-db").reason) == ([], "GeneratedValueLost")
    made.edit("Secret/web-db", "data", "password", to=before)
    ran = await made.run()
    assert ran.problems == []
    assert text(made, "Secret/web-db", "data", "password") == before


async def test_a_key_that_is_gone_where_the_record_is_lost_too_is_not_made_again(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=SECRET))
    await made.run()
    made.replace("Secret/web-db", lambda tree: tree.update(data={"other": "eA=="}))
    made.lose_record()
    made.restart()
    ran = await made.run()
    assert (ran.writes, ran.error_of("Secret/web-db").reason) == ([], "GeneratedValueLost")


async def test_the_password_of_a_release_of_helm_is_kept_and_nothing_restarts(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=SHARED))
    kept = base64.b64encode(b"of helm").decode()
    made.make(
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: web-db, namespace: shop}}\ndata: {{password: {kept}}}\n",
        "helm",
    )
    ran = await made.run()
    assert ran.problems == []
    assert plain(made, "web-db", "password") == "of helm"
    assert plain(made, "web-url", "url") == "postgres://shop:of helm@db/shop"
    assert made.traffic.readers["get Secret/web-db"] == {Identity("shop", "signet-applier"), None}


async def test_what_the_service_account_may_not_read_is_held_and_never_made(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=SECRET))
    made.traffic.unreadable.add(("", "Secret"))
    ran = await made.run()
    assert (ran.writes, ran.error_of("Secret/web-db").reason) == ([], "Forbidden")


async def test_an_apply_that_failed_leaves_no_object_with_another_value(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=SHARED))
    made.meanwhile("apply Secret/web-db", refusing)
    ran = await made.run()
    assert ran.errors != []
    ran = await made.run()
    assert ran.problems == []
    password = plain(made, "web-db", "password")
    assert plain(made, "web-url", "url") == f"postgres://shop:{password}@db/shop"


def refusing() -> None:
    raise ForbiddenError("refused")


async def test_a_secret_that_appears_in_between_keeps_its_password(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=SECRET))
    other = "apiVersion: v1\nkind: Secret\nmetadata: {name: web-db, namespace: shop}\ndata: {password: dGhlaXJz}\n"
    made.meanwhile("apply Secret/web-db", lambda: made.make(other, "helm"))
    ran = await made.run()
    assert (ran.problems, plain(made, "web-db", "password")) == (["StaleObject Secret/web-db"], "theirs")
    ran = await made.run()
    assert (ran.problems, plain(made, "web-db", "password")) == ([], "theirs")


STOLEN = """\
{{- $ca := genCA "x" 30 }}
apiVersion: v1
kind: Secret
metadata: {name: victim}
data: {all: {{ $ca.Cert | b64enc }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: open}
data: {all: {{ $ca.Cert | quote }}}
"""


SETTLED = ["apply ConfigMap/settings"]
HOOKED = """\
apiVersion: v1
kind: Secret
metadata: {name: first, annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-weight: "-5"}}
data: {password: {{ randAlphaNum 16 | b64enc }}}
"""


async def test_a_hook_keeps_its_password_when_it_is_made_again(renderers: Renderers) -> None:
    files = chart(hook=HOOKED, settings=SETTINGS)
    made = world(renderers, files)
    ran = await made.run()
    assert ran.problems == []
    password = plain(made, "first", "password")
    made.push({**files, "chart/values.yaml": "host: b\n"})
    ran = await made.run()
    assert (ran.problems, "apply Secret/first" in ran.writes) == ([], True)
    assert plain(made, "first", "password") == password


async def test_what_only_a_hook_has_that_goes_once_it_has_run_is_made_for_each_run(renderers: Renderers) -> None:
    hooked = HOOKED.replace("{helm.sh/hook:", "{helm.sh/hook-delete-policy: hook-succeeded, helm.sh/hook:")
    files = chart(hook=hooked, settings=SETTINGS)
    made = world(renderers, files)
    for host in "ab":
        made.push({**files, "chart/values.yaml": f"host: {host}\n"})
        ran = await made.run()
        assert (ran.problems, ran.writes) == ([], ["apply Secret/first", "delete Secret/first", *SETTLED])
        assert (await made.run()).quiet
    made.lose_record()
    made.restart()
    ran = await made.run()
    assert (ran.problems, made.live("Secret/first")) == ([], None)


async def test_what_such_a_hook_took_away_with_it_is_not_made_again_for_others(renderers: Renderers) -> None:
    shared = SHARED.replace(
        "{name: web-db}",
        "{name: web-db, annotations: {helm.sh/hook: 'pre-install,pre-upgrade', POLICY: hook-succeeded}}",
    ).replace("POLICY", "helm.sh/hook-delete-policy")
    files = chart(secret=shared, settings=SETTINGS)
    made = world(renderers, files)
    await made.run()
    url = text(made, "Secret/web-url", "stringData", "url")
    made.push({**files, "chart/values.yaml": "host: b\n"})
    ran = await made.run()
    assert (ran.writes, ran.problems) == ([], ["GeneratedValueLost Secret/web-db", "Held ConfigMap/settings"])
    assert text(made, "Secret/web-url", "stringData", "url") == url


async def test_a_value_whose_leaf_a_layer_sets_is_not_made_for_others(renderers: Renderers) -> None:
    layer = "apiVersion: v1\nkind: Secret\nmetadata: {name: web-db}\ndata: {password: c2V0}\n"
    made = world(renderers, {**chart(secret=SHARED), "over/secret.yaml": layer}, layers=["over"])
    ran = await made.run()
    assert (ran.writes, ran.problems) == (["apply Secret/web-db"], ["RandomValue Secret/web-url"])


@pytest.mark.parametrize("beside", ["hunter2", "{certificate}{key}", "hunter2\n{certificate}"])
async def test_what_is_no_certificate_alone_does_not_become_public(renderers: Renderers, beside: str) -> None:
    other = world(renderers, chart(secret=CERTIFICATES))
    await other.run()
    certificate, key = plain(other, "web-tls", "tls.crt"), plain(other, "web-tls", "tls.key")
    value = base64.b64encode(beside.format(certificate=certificate, key=key).encode()).decode()
    made = world(renderers, chart(secret=STOLEN))
    made.make(
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: victim, namespace: shop}}\ndata: {{all: {value}}}\n", "other"
    )
    ran = await made.run()
    assert (ran.writes, ran.error_of("ConfigMap/open").reason) == ([], "GeneratedValueLost")
    assert not any(word in shown(ran) for word in ("hunter2", "PRIVATE"))


async def test_a_layer_that_sets_the_leaf_takes_its_place(renderers: Renderers) -> None:
    layer = "apiVersion: v1\nkind: Secret\nmetadata: {name: web-db}\ndata: {password: c2V0}\n"
    made = world(renderers, {**chart(secret=SECRET), "over/secret.yaml": layer}, layers=["over"])
    ran = await made.run()
    assert ran.problems == []
    assert plain(made, "web-db", "password") == "set"


CERTIFICATES = """\
{{- $ca := genCA "shop-ca" 90 }}
{{- $cert := genSignedCert "web" (list "10.0.0.1") (list "web.shop.svc" (printf "web.%s.svc" .Release.Namespace)) 30 $ca }}
apiVersion: v1
kind: Secret
metadata: {name: web-tls}
type: kubernetes.io/tls
data:
  tls.crt: {{ $cert.Cert | b64enc }}
  tls.key: {{ $cert.Key | b64enc }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web-ca}
data:
  bundle: {{ $ca.Cert | b64enc }}
  ca.crt: |
    {{- $ca.Cert | nindent 4 }}
"""
DAY = 24 * 60 * 60


def certificate(made: Installation, key: str = "tls.crt") -> x509.Certificate:
    return x509.load_pem_x509_certificate(plain(made, "web-tls", key).encode())


def ca(made: Installation) -> x509.Certificate:
    found = text(made, "ConfigMap/web-ca", "data", "ca.crt")
    assert base64.b64decode(text(made, "ConfigMap/web-ca", "data", "bundle")).decode() == found
    return x509.load_pem_x509_certificate(found.encode())


async def test_a_certificate_its_key_and_its_ca_are_made_together_and_the_certificate_is_no_secret(
    renderers: Renderers,
) -> None:
    made = world(renderers, chart(secret=CERTIFICATES))
    ran = await made.run()
    assert ran.problems == []
    found, issuer = certificate(made), ca(made)
    found.verify_directly_issued_by(issuer)
    key = serialization.load_pem_private_key(plain(made, "web-tls", "tls.key").encode(), None)
    assert key.public_key() == found.public_key()
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["web.shop.svc", "web.shop.svc"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1"]
    assert found.not_valid_before_utc.timestamp() == int(made.clock.now())
    assert found.not_valid_after_utc - found.not_valid_before_utc == timedelta(days=30)
    assert issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (await made.run()).quiet
    made.lose_record()
    made.restart()
    ran = await made.run()
    assert (ran.problems, certificate(made), ca(made)) == ([], found, issuer)
    assert "PRIVATE KEY" not in shown(ran)


async def test_all_of_it_is_renewed_at_two_thirds_of_its_life(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=CERTIFICATES, settings=SETTINGS))
    await made.run()
    found, issuer = certificate(made), ca(made)
    assert made.renewal == 20 * DAY
    made.clock.seconds += 20 * DAY - 60
    assert (await made.run()).quiet
    made.clock.seconds += 120
    ran = await made.run("renewal")
    assert (ran.problems, ran.writes) == ([], ["apply ConfigMap/web-ca", "apply Secret/web-tls"])
    assert ran.causes == {"ConfigMap/web-ca": "generated-value", "Secret/web-tls": "generated-value"}
    assert made.renewal == 20 * DAY
    assert found not in {certificate(made), ca(made)}
    assert ca(made) != issuer
    certificate(made).verify_directly_issued_by(ca(made))
    assert (await made.run()).quiet


def hooked_certificates(when: str) -> str:
    return CERTIFICATES.replace("{name: web-tls}", f"{{name: web-tls, annotations: {{helm.sh/hook: '{when}'}}}}")


async def test_a_certificate_of_a_hook_is_renewed_by_a_run_of_the_hooks(renderers: Renderers) -> None:
    alone = hooked_certificates("pre-install,pre-upgrade").partition("---")[0]
    made = world(renderers, chart(secret=alone, settings=SETTINGS))
    await made.run()
    found = certificate(made)
    assert (await made.run()).quiet
    made.clock.seconds += 20 * DAY + 60
    ran = await made.run("renewal")
    assert (ran.problems, ran.writes) == ([], ["apply Secret/web-tls"])
    assert certificate(made) != found
    assert made.renewal == 20 * DAY
    assert (await made.run()).quiet


async def test_a_hook_for_the_installation_alone_keeps_its_certificate_and_what_trusts_it(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=hooked_certificates("pre-install")))
    await made.run()
    found, issuer = certificate(made), ca(made)
    made.clock.seconds += 20 * DAY + 60
    ran = await made.run("renewal")
    assert (ran.problems, ran.writes) == ([], [])
    assert (certificate(made), ca(made)) == (found, issuer)


async def test_nothing_is_renewed_while_an_object_of_it_is_left_alone(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=CERTIFICATES))
    await made.run()
    found = certificate(made)
    alone = CERTIFICATES.replace("name: web-ca", "name: web-ca, annotations: {signet-gitops.dev/reconcile: disabled}")
    made.push(chart(secret=alone))
    await made.run()
    made.clock.seconds += 21 * DAY
    ran = await made.run("renewal")
    assert (ran.problems, ran.writes, certificate(made)) == ([], [], found)


async def test_nothing_is_renewed_while_a_part_of_it_cannot_be_read(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=CERTIFICATES))
    await made.run()
    found = certificate(made)
    made.traffic.unreadable.add(("", "ConfigMap"))
    made.clock.seconds += 21 * DAY
    ran = await made.run("renewal")
    assert (ran.writes, ran.error_of("Secret/web-tls").reason) == ([], "Forbidden")
    assert certificate(made) == found
    assert made.renewal == 60 * 60


async def test_parts_that_do_not_belong_together_are_held(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=CERTIFICATES))
    await made.run()
    other = world(renderers, chart(secret=CERTIFICATES))
    await other.run()
    made.edit("Secret/web-tls", "data", "tls.key", to=text(other, "Secret/web-tls", "data", "tls.key"))
    ran = await made.heal()
    error = ran.error_of("Secret/web-tls")
    assert (ran.writes, error.reason) == ([], "GeneratedValueLost")
    made.annotate(confirm_new_values=str(error.facts["confirm"]))
    ran = await made.run("spec")
    assert ran.problems == []
    certificate(made).verify_directly_issued_by(ca(made))


async def test_a_diff_finds_no_change_in_what_was_made_and_tells_what_is_new(
    asking: Callable[..., User], renderers: Renderers
) -> None:
    files = chart(secret=SHARED, settings=SETTINGS)
    made = world(renderers, chart(settings=SETTINGS))
    await made.run()
    said = await asking(made).diff(files)
    assert (said.actions, said.problems) == ({"Secret/web-db": "create", "Secret/web-url": "create"}, [])
    made.push(files)
    await made.run()
    password = plain(made, "web-db", "password")
    said = await asking(made).diff(files)
    assert (said.actions, said.problems) == ({}, [])
    assert password not in repr(said)


WEBHOOK = """\
{{- $ca := genCA "shop-ca" 365 }}
{{- $cert := genSignedCert "web" nil (list "web.shop.svc") 365 $ca }}
apiVersion: v1
kind: Secret
metadata: {name: web-tls}
data: {tls.crt: {{ $cert.Cert | b64enc }}, tls.key: {{ $cert.Key | b64enc }}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: web}
webhooks:
  - name: web.example.com
    clientConfig:
      service: {name: web, namespace: shop}
      caBundle: {{ $ca.Cert | b64enc }}
"""


async def test_a_ca_that_only_a_webhook_holds_is_read_from_there(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=WEBHOOK))
    ran = await made.run()
    assert ran.problems == []
    bundle = text(made, "ValidatingWebhookConfiguration/web", "webhooks", 0, "clientConfig", "caBundle")
    certificate(made).verify_directly_issued_by(x509.load_pem_x509_certificate(base64.b64decode(bundle)))
    made.lose_record()
    made.restart()
    ran = await made.run()
    assert ran.problems == []
    assert text(made, "ValidatingWebhookConfiguration/web", "webhooks", 0, "clientConfig", "caBundle") == bundle


KEYS = """\
apiVersion: v1
kind: Secret
metadata: {{name: keys}}
data:
  {{{{- range until {count} }}}}
  k{{{{ . }}}}: {{{{ genPrivateKey "ed25519" | b64enc }}}}
  {{{{- end }}}}
"""


@pytest.mark.parametrize(("count", "problems"), [(32, []), (33, ["Limit Secret/keys"])])
async def test_a_run_makes_so_many_keys_and_no_more(renderers: Renderers, count: int, problems: list[str]) -> None:
    made = world(renderers, chart(keys=KEYS.format(count=count)))
    ran = await made.run()
    assert (ran.problems, len(ran.writes)) == (problems, 0 if problems else 1)


async def test_a_diff_takes_a_certificate_that_stands_for_the_one_that_is_kept(
    asking: Callable[..., User], renderers: Renderers
) -> None:
    files = chart(secret=CERTIFICATES)
    made = world(renderers, files)
    await made.run()
    said = await asking(made).diff(files)
    assert (said.actions, said.problems) == ({}, [])


async def test_what_functions_make_of_a_value_has_a_largest_size(renderers: Renderers) -> None:
    """Else a few hundred values of megabytes each would be held at once."""
    secret = 'apiVersion: v1\nkind: Secret\nmetadata: {name: long}\nstringData: {a: {{ randNumeric 4096 | replace "1" (repeat 1024 "x") }}}\n'
    made = world(renderers, chart(settings=SETTINGS, secret=secret))
    ran = await made.run()
    assert ran.writes == ["apply ConfigMap/settings"]
    assert "what a chart makes of a value that it makes up is too long" in shown(ran)


async def test_what_is_made_of_certificates_keeps_nothing_waiting(
    renderers: Renderers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each object may take seconds for it, and there may be many of them."""
    loop, here = threading.get_ident(), list[bool]()
    result = sprig.result

    def watched(function: str, given: str, parameters: Sequence[str]) -> str:
        here.append(threading.get_ident() == loop)
        return result(function, given, parameters)

    async def in_thread(_: sources.Tasks, work: Callable[[], object]) -> object:
        return await asyncio.to_thread(work)

    monkeypatch.setattr(sprig, "result", watched)
    monkeypatch.setattr(sources.Tasks, "in_thread", in_thread)
    secret = """\
{{- $ca := genCA "shop" 365 -}}
apiVersion: v1
kind: Secret
metadata: {name: ca}
stringData: {ca.crt: {{ $ca.Cert | quote }}, ca.key: {{ $ca.Key | quote }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: trust}
data: {line: {{ $ca.Cert | replace "CERTIFICATE" "TRUSTED" | quote }}}
"""
    made = world(renderers, chart(secret=secret))
    ran = await made.run()
    assert ran.problems == []
    assert "BEGIN TRUSTED" in text(made, "ConfigMap/trust", "data", "line")
    assert here
    assert not any(here)


SIGNED = """\
{{- $ca := buildCustomCert .Values.ca.crt .Values.ca.key }}
{{- $cert := genSignedCert "web" nil (list "web.shop") 90 $ca }}
apiVersion: v1
kind: Secret
metadata: {name: web-tls}
data:
  ca.crt: {{ $ca.Cert | b64enc }}
  tls.crt: {{ $cert.Cert | b64enc }}
  tls.key: {{ $cert.Key | b64enc }}
"""


def authority() -> tuple[str, str]:
    """A CA and its key, in base64 as values of charts have them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ours")])
    begins = datetime(2020, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(begins).not_valid_after(begins + timedelta(days=36500))
    made = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(
        key, hashes.SHA256()
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = made.public_bytes(serialization.Encoding.PEM), key.private_bytes(serialization.Encoding.PEM, *form)
    return base64.b64encode(pem[0]).decode(), base64.b64encode(pem[1]).decode()


def signed(ca: tuple[str, str], *, shift: str = "") -> dict[str, str]:
    sealing = Selection("encrypted_regex", "^(crt|key)$")
    values = encrypt(f"ca:\n  crt: {ca[0]}\n  key: {ca[1]}\n", "ca.yaml", selection=sealing)
    return {**chart(values="ca: {}\n", tls=shift + SIGNED), "ca.yaml": values}


def signing(renderers: Renderers, files: dict[str, str], **helm: object) -> Installation:
    made = Installation(files=files, render={"helm": {"chart": {"path": "chart"}, **helm}})
    made.renderers = sources.Renderers(renderers)
    return made


def is_issued(made: Installation, ca: tuple[str, str]) -> bool:
    certificate = x509.load_pem_x509_certificate(plain(made, "web-tls", "tls.crt").encode())
    issuer = x509.load_pem_x509_certificate(base64.b64decode(ca[0]))
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    key = serialization.load_pem_private_key(plain(made, "web-tls", "tls.key").encode(), None)
    return key.public_key() == certificate.public_key()


async def test_a_sealed_authority_signs_a_certificate_that_stays(renderers: Renderers) -> None:
    ca = authority()
    made = signing(renderers, signed(ca), valuesFiles=["ca.yaml"])
    ran = await made.run()
    assert ran.problems == []
    assert is_issued(made, ca)
    assert plain(made, "web-tls", "ca.crt") == base64.b64decode(ca[0]).decode()
    before = plain(made, "web-tls", "tls.crt")
    made.push(signed(ca, shift="{{- $x := genCA `y` 5 -}}\n"))
    made.restart()
    ran = await made.run()
    assert (ran.problems, plain(made, "web-tls", "tls.crt")) == ([], before)
    made.lose_record()
    made.restart()
    ran = await made.run()
    assert (ran.problems, plain(made, "web-tls", "tls.crt")) == ([], before)
    assert base64.b64decode(ca[1]).decode() not in shown(ran)


async def test_another_authority_signs_another_certificate(renderers: Renderers) -> None:
    first, second = authority(), authority()
    alone = {"chart/templates/tls.yaml": SIGNED.replace("  ca.crt: {{ $ca.Cert | b64enc }}\n", "")}
    made = signing(renderers, {**signed(first), **alone}, valuesFiles=["ca.yaml"])
    await made.run()
    made.push({**signed(second), **alone})
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([], ["apply Secret/web-tls"])
    assert is_issued(made, second)
    assert (await made.run()).quiet


async def test_an_authority_that_is_none_holds_what_it_should_sign(renderers: Renderers) -> None:
    made = signing(renderers, signed(("bm9uZQ==", "bm9uZQ==")), valuesFiles=["ca.yaml"])
    ran = await made.run()
    assert (ran.writes, [each.reason for each in ran.errors]) == ([], ["SecretValue"])


async def test_an_authority_of_a_store_is_refused_with_template_and_line(renderers: Renderers) -> None:
    stored = {"ca": {"crt": "vault://main/kv/ca#crt", "key": "vault://main/kv/ca#key"}}
    made = signing(renderers, signed(authority()), values=stored)
    made.stores.write("kv/ca", crt="x", key="y")
    ran = await made.run()
    (error,) = ran.errors
    assert (ran.writes, error.reason, error.facts["function"]) == ([], "RandomValue", "genSignedCert")
    assert str(error).startswith("chart/templates/tls.yaml:2: ")
    assert "SOPS" in error.hint
