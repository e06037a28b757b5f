"""Applications that render a chart, with the real renderer: its secrets stay sealed until the call."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from memory_world import sources
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.engine.ports import Identity
from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from agent.adapters.render.pool import Renderers
    from agent.engine.renderers import RenderPort

CHART = "apiVersion: v2\nname: shop\nversion: 1.2.3\n"
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-db}
data:
  password: {{ .Values.auth.password | b64enc }}
  url: {{ printf "postgres://shop:%s@db/shop" .Values.auth.password | b64enc | quote }}
  token: {{ .Values.token | default "none" | b64enc }}
"""
SETTINGS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-settings, namespace: {{ .Release.Namespace }}}
data:
  host: {{ .Values.host | quote }}
"""
VALUES = "host: example.com\nauth: {password: ''}\ntoken: ''\n"
SEALED = "auth:\n  password: hunter2\n"


def chart(path: str = "chart", values: str = VALUES, **templates: str) -> dict[str, str]:
    named = {f"{path}/templates/{name}.yaml": text for name, text in templates.items()}
    return {f"{path}/Chart.yaml": CHART, f"{path}/values.yaml": values, **named}


def world(
    renderers: RenderPort, files: dict[str, str], *, spec: dict[str, object] | None = None, **helm: object
) -> Installation:
    made = Installation(files=files, render={"helm": {"chart": {"path": "chart"}, **helm}}, **(spec or {}))  # pyright: ignore[reportArgumentType]
    made.renderers = sources.Renderers(renderers)
    made.stores.write("kv/db", token="t0k3n")
    return made


def plain(made: Installation, name: str, key: str) -> str:
    value = made.value(f"Secret/{name}", "data", key)
    return base64.b64decode(str(reveal(value) if isinstance(value, Secret) else value)).decode()


async def test_values_of_sops_files_and_stores_reach_the_objects_of_a_chart_and_nothing_else(
    renderers: Renderers,
) -> None:
    files = {
        **chart(secret=SECRET, settings=SETTINGS),
        "chart/templates/NOTES.txt": "none",
        "secrets.prod.yaml": encrypt(SEALED, "secrets.prod.yaml"),
    }
    made = world(
        renderers,
        files,
        valuesFiles=["secrets://secrets.prod.yaml"],
        values={"token": "vault://main/kv/db#token", "host": "shop.example.com"},
    )
    ran = await made.run()
    assert (ran.problems, ran.warnings) == ([], [])
    assert ran.writes == ["apply ConfigMap/web-settings", "apply Secret/web-db"]
    assert made.value("ConfigMap/web-settings", "data", "host") == "shop.example.com"
    found = [plain(made, "web-db", key) for key in ("password", "url", "token")]
    assert found == ["hunter2", "postgres://shop:hunter2@db/shop", "t0k3n"]
    given = b"".join(data for asked in made.renderers.charts for data in asked.sources.files.values())
    assert b"hunter2" not in given
    assert b"host: example.com" in given
    assert "hunter2" not in repr((ran.audit, ran.status, ran.messages))


async def test_what_did_not_change_is_not_rendered_again(renderers: Renderers) -> None:
    files = chart(settings=SETTINGS)
    made = world(renderers, files)
    await made.run()
    made.push({**files, "README.md": "more"})
    ran = await made.run()
    assert (ran.quiet, len(made.renderers.charts)) == (True, 1)
    made.push({**files, "chart/values.yaml": "host: other\n"})
    ran = await made.run()
    assert (ran.writes, len(made.renderers.charts)) == (["apply ConfigMap/web-settings"], 2)
    ran = await made.run()
    assert (ran.quiet, len(made.renderers.charts)) == (True, 2)


RANKS = "a: chart\nb: chart\nc: chart\nmap: {kept: chart, gone: chart}\nlist: [chart]\n"
RANKED = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: ranked}
data:
  value: {{ list .Values.a .Values.b .Values.c .Values.map .Values.list | toJson | quote }}
"""


async def test_later_values_win_maps_are_merged_lists_replaced_and_null_removes(renderers: Renderers) -> None:
    files = {
        **chart(values=RANKS, ranked=RANKED),
        "one.yaml": "b: one\nc: one\nmap: {more: one, gone: null}\n",
        "two.yaml": "c: two\nlist: [two]\n",
    }
    made = world(renderers, files, valuesFiles=["one.yaml", "./two.yaml"], values={"c": "spec"})
    ran = await made.run()
    assert ran.problems == []
    expected = '["chart","one","spec",{"kept":"chart","more":"one"},["two"]]'
    assert made.value("ConfigMap/ranked", "data", "value") == expected


async def test_a_file_of_values_may_lie_in_the_chart_and_be_read_as_a_file_too(renderers: Renderers) -> None:
    reads = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: read}\nstringData:\n  password: {{ .Values.auth.password }}\n"
        'data:\n  file: {{ .Files.Get "secrets.yaml" | b64enc }}\n  text: {{ .Files.Get "conf.ini" | b64enc }}\n'
    )
    files = {
        **chart(reads=reads),
        "chart/secrets.yaml": encrypt(SEALED, "chart/secrets.yaml"),
        "chart/conf.ini": "token = ${vault://main/kv/db#token}\n",
        "chart/README.md": "write ${vault://…} where you want one\n",
    }
    made = world(renderers, files, valuesFiles=["chart/secrets.yaml"])
    ran = await made.run()
    assert (ran.problems, ran.warnings) == ([], [])
    assert plain(made, "read", "password") == "hunter2"
    assert plain(made, "read", "file") == "auth:\n    password: hunter2\n"
    assert plain(made, "read", "text") == "token = t0k3n\n"


@pytest.mark.parametrize(
    ("files", "helm", "problem", "says"),
    [
        ({}, {"valuesFiles": ["none.yaml"]}, "Chart none.yaml", "no such file of values"),
        ({}, {"chart": {"path": "charts"}}, "Chart charts/Chart.yaml", "there is no chart in this folder"),
        ({"two.yaml": "a: ["}, {"valuesFiles": ["two.yaml"]}, "Chart two.yaml", "a file of values is not one"),
        (
            {"two.yaml": encrypt("data: true\n", "two.yaml")},
            {"valuesFiles": ["two.yaml"]},
            "Manifest two.yaml",
            "a value is true or false and encrypted",
        ),
        (
            {"chart/templates/bad.yaml": '{{ fail "no" }}'},
            {},
            "Chart chart/templates/bad.yaml",
            "a template fails (says no)",
        ),
        ({}, {"values": {"host": "vault://main"}}, "ReferenceSyntax", "spec.render.helm.values.host: reference lacks #key"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_chart_leaves_the_last_good_commit(
    renderers: Renderers, files: dict[str, str], helm: dict[str, object], problem: str, says: str
) -> None:
    good = chart(settings=SETTINGS)
    made = world(renderers, good)
    await made.run()
    made.spec(render={"helm": {"chart": {"path": "chart"}, **helm}})
    made.push({**good, **files})
    ran = await made.run()
    assert ran.problems == [problem]
    assert says in str(ran.errors[0])
    assert made.value("ConfigMap/web-settings", "data", "host") == "example.com"


DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
ASKS = """\
{{- if .Capabilities.APIVersions.Has "example.com/v1/Widget" }}
apiVersion: example.com/v1
kind: Widget
metadata: {name: w}
{{- end }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: asked}
data:
  version: {{ .Capabilities.KubeVersion | quote }}
  plain: "{{ .Capabilities.KubeVersion }}"
  found: {{ lookup "v1" "Secret" "" "" | toJson | quote }}
"""


async def test_a_chart_is_rendered_again_where_the_cluster_answers_otherwise_what_it_asked(
    renderers: Renderers,
) -> None:
    files = {**chart(asks=ASKS), "chart/crds/widgets.yaml": DEFINITION}
    made = world(renderers, files)
    ran = await made.run()
    assert ran.problems == []
    assert ran.writes == ["apply CustomResourceDefinition/widgets.example.com", "apply ConfigMap/asked"]
    assert made.value("ConfigMap/asked", "data", "version") == "{v1.36.3 v1.36.3 1 36}"
    assert made.value("ConfigMap/asked", "data", "plain") == "v1.36.3"
    assert made.value("ConfigMap/asked", "data", "found") == "{}"
    ran = await made.run()
    assert (ran.writes, len(made.renderers.charts)) == (["apply Widget/w"], 2)
    made.traffic.version = "v1.37.0"
    ran = await made.run()
    assert (ran.writes, len(made.renderers.charts)) == (["apply ConfigMap/asked"], 3)
    ran = await made.run()
    assert (ran.quiet, len(made.renderers.charts)) == (True, 3)


async def test_definitions_may_be_left_out(renderers: Renderers) -> None:
    made = world(renderers, {**chart(settings=SETTINGS), "chart/crds/widgets.yaml": DEFINITION}, crds="skip")
    assert (await made.run()).writes == ["apply ConfigMap/web-settings"]


async def test_an_object_that_helm_would_keep_stays_when_it_leaves_the_chart(renderers: Renderers) -> None:
    kept = SETTINGS.replace("namespace:", "annotations: {helm.sh/resource-policy: keep}, namespace:")
    files = chart(kept=kept, gone=m.config("gone"))
    made = world(renderers, {**files, "chart/templates/stays.yaml": m.config("stays")})
    await made.run()
    made.push(chart(stays=m.config("stays")))
    ran = await made.run()
    assert "delete ConfigMap/gone" in ran.writes
    assert made.value("ConfigMap/web-settings", "data", "host") == "example.com"


ASKING = """\
apiVersion: v1
kind: Secret
metadata: {name: acl}
stringData:
  password: {{ .Values.auth.password }}
  {{- if contains "," .Values.auth.password }}
  list: "true"
  {{- end }}
"""


async def test_a_question_about_a_value_is_asked_before_anything_is_applied(renderers: Renderers) -> None:
    made = world(
        renderers,
        chart(asking=ASKING, settings=SETTINGS),
        values={"auth": {"password": "vault://main/kv/db#token"}},
    )
    ran = await made.run()
    assert (ran.problems, plain(made, "acl", "password")) == ([], "t0k3n")
    made.stores.write("kv/db", token="t0k3n,more")
    ran = await made.probe()
    assert ran is not None
    assert (ran.problems, ran.writes) == (["Question Secret/acl"], [])
    assert plain(made, "acl", "password") == "t0k3n"
    said = repr((ran.audit, ran.status, ran.messages, [(each, each.facts) for each in ran.errors]))
    assert not any(word in said for word in ("t0k3n", "contains", "','"))
    assert "chart/templates/asking.yaml:6" in said
    made.stores.write("kv/db", token="new")
    ran = await made.probe()
    assert ran is not None
    assert (ran.problems, plain(made, "acl", "password")) == ([], "new")


async def test_layers_are_merged_onto_a_chart_and_variables_come_behind_it(renderers: Renderers) -> None:
    files = {
        **chart(settings=SETTINGS, values="host: ${HOST}\n"),
        "envs/prod/settings.yaml": m.config("web-settings", "more"),
    }
    made = world(
        renderers, files, spec={"layers": ["envs/prod"], "substitute": {"variables": {"HOST": "shop.example.com"}}}
    )
    ran = await made.run()
    assert ran.problems == []
    assert made.value("ConfigMap/web-settings", "data", "host") == "shop.example.com"
    assert made.value("ConfigMap/web-settings", "data", "value") == "more"


async def test_a_value_that_no_template_uses_is_named(renderers: Renderers) -> None:
    files = {**chart(settings=SETTINGS), "s.yaml": encrypt("password: hunter2\n", "s.yaml")}
    made = world(renderers, files, valuesFiles=["s.yaml"])
    ran = await made.run()
    assert (ran.problems, ran.warnings) == ([], ["Placeholder"])


async def test_a_file_of_values_that_was_altered_leaves_the_last_good_commit(renderers: Renderers) -> None:
    sealed = encrypt(SEALED, "s.yaml")
    files = {**chart(secret=SECRET), "s.yaml": sealed}
    made = world(renderers, files, valuesFiles=["s.yaml"])
    await made.run()
    made.push({**files, "s.yaml": sealed.replace("mac: ENC[AES256_GCM,data:", "mac: ENC[AES256_GCM,data:A")})
    ran = await made.run()
    assert [each.split()[1] for each in ran.problems] == ["s.yaml"]
    assert plain(made, "web-db", "password") == "hunter2"


def object_of(kind: str, name: str, **data: str) -> str:
    lines = "".join(
        f"  {key}: {json.dumps(encoded(text) if kind == 'Secret' else text)}\n" for key, text in data.items()
    )
    return f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: shop\ndata:\n{lines}"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


FROM = [
    {"kind": "ConfigMap", "name": "settings", "key": "values"},
    {"kind": "Secret", "name": "db", "key": "values"},
    {"kind": "Secret", "name": "db", "key": "token", "targetPath": "token"},
    {"kind": "Secret", "name": "none", "optional": True},
]


async def test_values_of_the_cluster_are_read_as_the_tenant_and_those_of_secrets_stay_sealed(
    renderers: Renderers,
) -> None:
    files = {**chart(secret=SECRET, settings=SETTINGS), "more.yaml": "host: from-file\n"}
    made = world(renderers, files, valuesFrom=FROM)
    made.make(object_of("ConfigMap", "settings", values="host: from-cluster\nauth: {password: none}\n"))
    made.make(object_of("Secret", "db", values="auth:\n  password: hunter2\n  user: ''\n", token="t0k3n"))
    ran = await made.run()
    assert ran.problems == []
    assert made.value("ConfigMap/web-settings", "data", "host") == "from-cluster"
    assert [plain(made, "web-db", key) for key in ("password", "token")] == ["hunter2", "t0k3n"]
    given = b"".join(data for asked in made.renderers.charts for data in asked.sources.files.values())
    assert b"hunter2" not in given
    assert b"t0k3n" not in given
    assert "hunter2" not in repr((ran.audit, ran.status, ran.messages))
    assert made.traffic.readers["get Secret/db"] == {Identity("shop", "signet-applier")}
    assert [each for each in ran.reads if "/db" in each or "/settings" in each].count("get ConfigMap/settings") == 1
    ran = await made.run()
    assert (ran.quiet, len(made.renderers.charts)) == (True, 1)

    made.edit("Secret/db", "data", "values", to=encoded("auth: {password: 0123}"))
    ran = await made.probe()
    assert ran is not None
    assert (ran.writes, ran.causes) == (["apply Secret/web-db"], {"Secret/web-db": "variable-source"})
    made.spec(render={"helm": {"chart": {"path": "chart"}, "valuesFrom": FROM, "valuesFiles": ["more.yaml"]}})
    ran = await made.run()
    assert made.value("ConfigMap/web-settings", "data", "host") == "from-file"


async def test_a_run_that_only_heals_reads_values_of_the_cluster_again(renderers: Renderers) -> None:
    made = world(renderers, chart(secret=SECRET), valuesFrom=[{"kind": "Secret", "name": "db", "key": "values"}])
    made.make(object_of("Secret", "db", values="auth: {password: hunter2}\n"))
    await made.run()
    made.edit("Secret/web-db", "data", "password", to=encoded("edited"))
    ran = await made.heal()
    assert (ran.problems, plain(made, "web-db", "password")) == ([], "hunter2")


@pytest.mark.parametrize(
    ("given", "asked", "says"),
    [
        ("", {}, "does not exist, or has no such key"),
        (object_of("Secret", "db", values="auth: [1"), {}, "not the YAML that it should be"),
        (object_of("Secret", "db", values="on: true"), {}, "true or false"),
        (object_of("Secret", "db", values="just text"), {}, "values are not a map"),
        (object_of("Secret", "db", values="a: vault://main/kv/db#token"), {}, "holds a reference to a store"),
        (
            object_of("ConfigMap", "db", values="a: '${vault://main/kv/db#token}'"),
            {"kind": "ConfigMap"},
            "holds a reference",
        ),
        (object_of("ConfigMap", "db", values="a: sGnT0k"), {"kind": "ConfigMap"}, "looks like"),
        (
            object_of("Secret", "db", values="\n".join(f"a{number}: x" for number in range(1100))),
            {},
            "more values than",
        ),
    ],
)
async def test_values_of_the_cluster_that_cannot_be_used_leave_the_last_good_commit(
    renderers: Renderers, given: str, asked: dict[str, str], says: str
) -> None:
    made = world(renderers, chart(settings=SETTINGS))
    await made.run()
    if given:
        made.make(given)
    source = {"kind": "Secret", "name": "db", "key": "values", **asked}
    made.spec(render={"helm": {"chart": {"path": "chart"}, "valuesFrom": [source]}})
    ran = await made.run()
    assert len(ran.problems) == 1
    assert says in str(ran.errors[0])
    assert "token" not in repr((ran.status, ran.messages))
    assert made.value("ConfigMap/web-settings", "data", "host") == "example.com"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Log in to {{ .Values.host }} as shop: {{ .Values.auth.password }}",
            "Log in to example.com as shop: (sealed value)",
        ),
        (
            "{{ .Values.auth.password | b64enc | quote }} {{ sha256sum .Values.auth.password }}",
            "(sealed value) (sealed value)",
        ),
        ('{{ if contains "," .Values.auth.password }}a list{{ end }}one', "one"),
        ("{{ len .Values.auth.password }}", "(the template of the notes fails)"),
        ("{{ fail .Values.host }}", "(the template of the notes fails)"),
        ("x{{ range until 9000 }}y{{ end }}", "x" + "y" * 4094 + "…"),
    ],
)
async def test_what_a_chart_tells_its_user_is_in_the_status_without_sealed_values(
    renderers: Renderers, text: str, expected: str
) -> None:
    files = {**chart(secret=SECRET), "chart/templates/NOTES.txt": text}
    made = world(
        renderers,
        {**files, "s.yaml": encrypt("auth:\n  password: hunter2,\n", "s.yaml")},
        valuesFiles=["s.yaml"],
    )
    ran = await made.run()
    assert ran.problems == []
    notes = ran.status.notes or ""
    assert notes.replace('"', "") == expected
    assert "hunter2" not in repr(ran.status)
    made.push(chart(settings=SETTINGS))
    made.spec(render={"helm": {"chart": {"path": "chart"}}})
    assert (await made.run()).status.notes is None
