"""Applications that render: an overlay of the commit becomes objects, with the real renderer, and its secrets stay sealed until the call."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from memory_world import sources
from memory_world.sealed_files import encrypt
from whole_runs import manifests as m
from whole_runs.installation import Installation

from agent.sops.format.selection import Selection
from agent.values.placeholders import of
from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from agent.adapters.render.pool import Renderers
    from agent.engine.renderers import RenderPort

PROD = {"kustomize": {"path": "prod"}}


def world(renderers: RenderPort, files: dict[str, str], **spec: object) -> Installation:
    made = Installation(files=files, **{"render": PROD, **spec})  # pyright: ignore[reportArgumentType]
    made.renderers = sources.Renderers(renderers)
    made.stores.write("kv/db", password="first")
    return made


def kustomization(*resources: str, **more: object) -> str:
    return "\n".join([f"resources: [{', '.join(resources)}]", *(f"{key}: {value}" for key, value in more.items())])


async def test_an_overlay_with_an_encrypted_secret_is_applied(renderers: Renderers) -> None:
    made = world(
        renderers,
        {
            "base/kustomization.yaml": kustomization("config.yaml", "db.yaml"),
            "base/config.yaml": m.config(),
            "base/db.yaml": encrypt(m.plain_secret()),
            "prod/kustomization.yaml": kustomization("../base", namePrefix="prod-"),
            "other/broken.yaml": "a: [",
        },
    )
    ran = await made.run()
    assert ran.problems == []
    assert ran.writes == ["apply ConfigMap/prod-a", "apply Secret/prod-db"]
    assert made.value("Secret/prod-db", "data", "password") == Secret("aHVudGVyMg==", "expected")
    assert not any(b"hunter2" in data for asked in made.renderers.asked for data in asked.sources.files.values())


async def test_what_did_not_change_is_not_rendered_again(renderers: Renderers) -> None:
    files = {"prod/kustomization.yaml": kustomization("a.yaml"), "prod/a.yaml": m.config()}
    made = world(renderers, files)
    await made.run()
    made.push({**files, "README.md": "more"})
    ran = await made.run()
    assert (ran.quiet, len(made.renderers.asked)) == (True, 1)
    made.push({**files, "prod/a.yaml": m.config(data="2")})
    ran = await made.run()
    assert (ran.writes, len(made.renderers.asked)) == (["apply ConfigMap/a"], 2)


async def test_what_is_rendered_counts_too(renderers: Renderers) -> None:
    literals = "".join(f"  - k{number}=v\n" for number in range(600))
    files = {"prod/kustomization.yaml": f"configMapGenerator:\n- name: a\n  literals:\n{literals}"}
    made = world(renderers, files)
    made.limits = made.limits.model_copy(update={"values": 1000})
    ran = await made.run()
    assert (ran.writes, ran.ended_by) == ([], "Limit")


DATABASE = "password=hunter2\nhost=db.example.com\n"
CONF = "password: 'yes'\nlist:\n- a\n"


async def test_generators_take_encrypted_files_and_references(renderers: Renderers) -> None:
    generators = (
        "generatorOptions: {disableNameSuffixHash: true}\n"
        "secretGenerator:\n"
        "- {name: env, envs: [db.env]}\n"
        "- {name: whole, files: [conf.yaml, renamed=conf.yaml]}\n"
        "- {name: store, literals: ['pw=vault://main/kv/db#password', 'url=http://u:${vault://main/kv/db#password}@h']}\n"
        "- {name: text, files: [text.conf]}\n"
    )
    made = world(
        renderers,
        {
            "prod/kustomization.yaml": generators,
            "prod/db.env": encrypt(DATABASE, "db.env"),
            "prod/conf.yaml": encrypt(CONF, "conf.yaml"),
            "prod/text.conf": "a = ${vault://main/kv/db#password}\n",
        },
    )
    ran = await made.run()
    assert ran.problems == []
    found = {
        (name, key): made.value(f"Secret/{name}", "data", key)
        for name, keys in {
            "env": ("password", "host"),
            "whole": ("conf.yaml", "renamed"),
            "store": ("pw", "url"),
            "text": ("text.conf",),
        }.items()
        for key in keys
    }
    printed = 'password: "yes"\nlist:\n    - a\n'
    expected = {
        ("env", "password"): "hunter2",
        ("env", "host"): "db.example.com",
        ("whole", "conf.yaml"): printed,
        ("whole", "renamed"): printed,
        ("store", "pw"): "first",
        ("store", "url"): "http://u:first@h",
        ("text", "text.conf"): "a = first\n",
    }
    assert {name: base64_of(value) for name, value in found.items()} == expected


def base64_of(value: object) -> str:
    text = str(reveal(value) if isinstance(value, Secret) else value)
    return base64.b64decode(text).decode()


SECRETS = {"secrets": {"allow": ["ConfigMap"]}, "operator": m.operator(sinks={"configMaps": True})}


@pytest.mark.parametrize(
    "spec", [{"render": PROD}, {"layers": ["prod"], "render": None}], ids=["rendered", "manifests"]
)
async def test_variables_come_from_the_spec_files_and_stores(renderers: Renderers, spec: dict[str, object]) -> None:
    files = {
        "prod/a.yaml": m.config("${NAME:=a}", "${HOST}:${PORT} ${PASSWORD} ${TOKEN} $${LEFT} ${NONE:-none}"),
        "vars.yaml": "HOST: from-file\nPORT: 8080\nNAME: named\n",
        "vars.secret.yaml": encrypt("password: hunter2\n", "vars.secret.yaml").replace("password", "password"),
        "vars.env": "TOKEN=vault://main/kv/db#password\n",
    }
    if spec["render"]:
        files["prod/kustomization.yaml"] = kustomization("a.yaml")
    files["prod/a.yaml"] = files["prod/a.yaml"].replace("PASSWORD", "password")
    substitute = {"variables": {"HOST": "from-spec"}, "files": ["vars.yaml", "vars.secret.yaml", "vars.env"]}
    made = world(renderers, files, **SECRETS, **spec, substitute=substitute)
    ran = await made.run()
    assert ran.problems == []
    assert made.value("ConfigMap/named", "data", "value") == Secret(
        "from-spec:8080 hunter2 first ${LEFT} none", "expected"
    )
    again = await made.run()
    assert (again.quiet, again.opened) == (True, [])


async def test_a_variable_without_a_value_holds_its_object(renderers: Renderers) -> None:
    made = world(renderers, {"a.yaml": m.config(data="${NONE}"), "b.yaml": m.config("b")}, render=None, substitute={})
    ran = await made.run()
    assert ran.writes == ["apply ConfigMap/b"]
    assert ran.error_of("ConfigMap/a").facts["variable"] == "NONE"
    made.spec(substitute={"strict": False})
    ran = await made.run()
    assert ran.writes == ["apply ConfigMap/a"]


async def test_layers_are_merged_onto_what_is_rendered(renderers: Renderers) -> None:
    files = {
        "prod/kustomization.yaml": kustomization("a.yaml"),
        "prod/a.yaml": m.config(data="1", other="kept"),
        "more/a.yaml": m.config(data="2"),
    }
    made = world(renderers, files, layers=["more"])
    ran = await made.run()
    assert ran.problems == []
    assert (made.value("ConfigMap/a", "data", "value"), made.value("ConfigMap/a", "data", "other")) == ("2", "kept")


@pytest.mark.parametrize(
    ("files", "reason", "file"),
    [
        ({"prod/a.yaml": m.config()}, "Render", "prod"),
        ({"prod/kustomization.yaml": kustomization("none.yaml")}, "Render", "prod/kustomization.yaml"),
        (
            {"prod/kustomization.yaml": kustomization("https://example.com/a.yaml")},
            "RemoteBase",
            "prod/kustomization.yaml",
        ),
        (
            {"prod/kustomization.yaml": kustomization("a.yaml"), "prod/a.yaml": m.config(data=of("ref", "x"))},
            "Placeholder",
            "prod/a.yaml",
        ),
        (
            {
                "prod/kustomization.yaml": kustomization("s.yaml"),
                "prod/s.yaml": encrypt(m.plain_secret(), recipient="age1other"),
            },
            "DataKey",
            "prod/s.yaml",
        ),
    ],
)
async def test_an_overlay_that_cannot_be_rendered_leaves_the_last_good_state(
    renderers: Renderers, files: dict[str, str], reason: str, file: str
) -> None:
    good = {"prod/kustomization.yaml": kustomization("a.yaml"), "prod/a.yaml": m.config()}
    made = world(renderers, good)
    await made.run()
    made.push(files)
    ran = await made.run()
    assert (ran.problems, ran.writes) == ([f"{reason} {file}"], [])
    made.edit("ConfigMap/a", "data", "value", to="edited")
    await made.heal()
    assert made.value("ConfigMap/a", "data", "value") == "1"


CUTTING = "[{source: {kind: Secret, name: s, fieldPath: stringData.up, options: {delimiter: ':', index: 0}}, targets: [{select: {kind: Secret, name: t}, fieldPaths: [stringData.u]}]}]"


@pytest.mark.parametrize(
    "more",
    [
        f"replacements: {CUTTING}\n",
        "replacements: [{path: repl.yaml}]\n",
        "replacements: [{path: repl.yaml}]\ncommonAnnotations: {x: repl.yaml}\n",
        "commonAnnotations: {x: repl.yaml}\nreplacements: [{path: repl.yaml}]\n",
        "replacements: [{path: ../prod/repl.yaml}]\n",
    ],
)
async def test_a_sealed_value_that_a_replacement_takes_apart_holds_its_object(renderers: Renderers, more: str) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData: {%s}\n"
    files = {
        "prod/kustomization.yaml": "resources: [s.yaml, t.yaml]\n" + more,
        "prod/repl.yaml": CUTTING,
        "prod/s.yaml": encrypt(secret % ("s", "up: 'user:pass'")),
        "prod/t.yaml": secret % ("t", "u: none"),
    }
    ran = await world(renderers, files).run()
    assert (ran.problems, ran.writes) == (["Placeholder Secret/t"], ["apply Secret/s"])


@pytest.mark.parametrize("path", ["a" * 100_000 + "\\\\", "[" * 100_000])
async def test_a_long_field_path_is_refused_at_once(renderers: Renderers, path: str) -> None:
    replacements = f"replacements: [{{source: {{options: {{delimiter: x}}}}, targets: [{{fieldPaths: ['{path}']}}]}}]\n"
    ran = await world(renderers, {"prod/kustomization.yaml": replacements}).run()
    assert ran.problems == ["Manifest prod/kustomization.yaml"]


async def test_kustomizations_name_one_another_in_no_endless_chain(renderers: Renderers) -> None:
    files = {f"f{number}/kustomization.yaml": kustomization(f"../f{number + 1}") for number in range(100)}
    ran = await world(renderers, files, render={"kustomize": {"path": "f0"}}).run()
    assert ran.problems == ["Limit"]


async def test_a_folder_whose_name_begins_with_a_dot_is_the_one_that_is_built(renderers: Renderers) -> None:
    files = {
        ".deploy/kustomization.yaml": kustomization("a.yaml", "../deploy"),
        ".deploy/a.yaml": m.config(),
        "deploy/kustomization.yaml": kustomization("b.yaml"),
        "deploy/b.yaml": m.config("b"),
    }
    ran = await world(renderers, files, render={"kustomize": {"path": ".deploy"}}).run()
    assert (ran.problems, ran.writes) == ([], ["apply ConfigMap/a", "apply ConfigMap/b"])


async def test_clear_values_of_an_encrypted_file_are_warned_of_or_hold_the_overlay(renderers: Renderers) -> None:
    sealed = encrypt(m.plain_secret().replace("stringData:", "immutable: true\nstringData:"))
    files = {"prod/kustomization.yaml": kustomization("s.yaml"), "prod/s.yaml": sealed}
    ran = await world(renderers, files).run()
    assert (ran.problems, ran.warnings) == ([], ["ClearValues prod/s.yaml"])
    ran = await world(renderers, files, operator=m.operator(sops={"clearValues": "hold"})).run()
    assert (ran.problems, ran.writes) == (["ClearValues prod/s.yaml"], [])


UNBOUND = {
    "an env file": ("db.env", DATABASE, "secretGenerator: [{name: a, envs: [db.env]}]"),
    "a file as it is": ("conf.yaml", CONF, "secretGenerator: [{name: a, files: [conf.yaml]}]"),
    "an INI file": ("conf.ini", "[db]\npassword = a\nhost = b\n", "secretGenerator: [{name: a, files: [conf.ini]}]"),
    "variables": ("vars.yaml", "password: a\nHOST: b\n", ""),
}


@pytest.mark.parametrize(("name", "text", "generators"), UNBOUND.values(), ids=UNBOUND)
async def test_clear_values_of_every_encrypted_file_are_warned_of_or_hold_the_commit(
    renderers: Renderers, name: str, text: str, generators: str
) -> None:
    files = {
        "prod/kustomization.yaml": f"resources: [a.yaml]\n{generators}\n",
        "prod/a.yaml": m.config(),
        f"prod/{name}": encrypt(text, name),
    }
    variables: dict[str, object] = {} if generators else {"substitute": {"files": [f"prod/{name}"]}}
    ran = await world(renderers, files, **variables).run()
    assert ran.problems == []
    assert f"ClearValues prod/{name}" in ran.warnings
    ran = await world(renderers, files, **variables, operator=m.operator(sops={"clearValues": "hold"})).run()
    assert (ran.problems, ran.writes) == ([f"ClearValues prod/{name}"], [])


@pytest.mark.parametrize("rendered", [True, False])
async def test_an_encrypted_file_without_clear_values_is_no_warning(renderers: Renderers, *, rendered: bool) -> None:
    whole = Selection()
    files = {
        "prod/kustomization.yaml": "resources: [a.yaml]\nsecretGenerator: [{name: a, files: [conf.ini], envs: [a.env]}]\n",
        "prod/a.yaml": m.config(),
        "prod/conf.ini": encrypt("[db]\npassword = a\n", "conf.ini", selection=whole),
        "prod/a.env": encrypt("A=b\n", "a.env", selection=whole),
        "prod/vars.env": encrypt("A=b\n", "vars.env", selection=whole),
    }
    asked = {} if rendered else {"render": None, "layers": ["layer"], "substitute": {"files": ["prod/vars.env"]}}
    ran = await world(renderers, {**files, "layer/a.yaml": m.config("b")}, **asked).run()
    assert (ran.problems, ran.warnings) == ([], [])


@pytest.mark.parametrize(
    ("written", "text"), [("true", "true"), ("false", "false"), ("null", ""), ("8080 # a port", "8080")]
)
async def test_a_variable_of_yaml_is_the_text_that_it_is_written_as(
    renderers: Renderers, written: str, text: str
) -> None:
    files = {"a.yaml": m.config(data="<${V}>"), "vars.yaml": f"V: {written}\n"}
    made = world(renderers, files, render=None, substitute={"files": ["vars.yaml"]})
    await made.run()
    assert made.value("ConfigMap/a", "data", "value") == f"<{text}>"


@pytest.mark.parametrize("number", ["1.10", "01234", "0x1F", "1_000"])
async def test_a_number_that_would_change_as_text_is_refused(renderers: Renderers, number: str) -> None:
    files = {"a.yaml": m.config(data="${V}"), "vars.yaml": f"V: {number}\n"}
    made = world(renderers, files, render=None, substitute={"files": ["vars.yaml"]})
    ran = await made.run()
    assert ran.problems == ["Substitution vars.yaml"]
    made.push({**files, "vars.yaml": f"V: '{number}' # as it is\nW: 8080\n"})
    await made.run()
    assert made.value("ConfigMap/a", "data", "value") == number
