"""`agent render` of an Application that renders an overlay: as in the cluster, without a key, and with keys where they are asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agent.adapters.keys.age import AgeKeys
from agent.sops.format.keys import WrappedKey
from render import build

if TYPE_CHECKING:
    from conftest import Shell

    from agent.values.secret import Secret

REGEX = ("--encrypted-regex", "^(data|stringData|PASSWORD)$")
CANARY = "canary-of-overlays-4711"
APPLICATION = """
apiVersion: signet-gitops.dev/v1alpha1
kind: Application
metadata: {name: web, namespace: shop}
spec:
  source: {url: 'https://git.example.com/shop.git', revision: {branch: main}}
  render: {kustomize: {path: prod}}
  substitute: {variables: {HOST: shop.example.com}, files: [vars.yaml]}
"""
SECRET = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: {CANARY}, url: 'a-${{PASSWORD}}-b'}}\n"
CLEAR = "apiVersion: v1\nkind: Secret\nmetadata: {name: url}\nstringData: {url: 'http://u:${PASSWORD}@${HOST}', ref: '${vault://main/kv/a#b} ${PASSWORD}'}\n"
KUSTOMIZATION = """
resources: [db.yaml, clear.yaml]
namePrefix: prod-
generatorOptions: {disableNameSuffixHash: true}
secretGenerator: [{name: env, envs: [.env]}]
"""


def seal(shell: Shell, text: str, name: str = "s.yaml") -> str:
    made = shell.agent("encrypt", "--age", shell.recipient, *REGEX, "--filename-override", name, stdin=text.encode())
    assert made.code == 0, made.err
    return made.out.decode()


@pytest.fixture
def tree(shell: Shell) -> Shell:
    _ = build.built()
    shell.write("prod/kustomization.yaml", KUSTOMIZATION)
    shell.write("prod/db.yaml", seal(shell, SECRET))
    shell.write("prod/clear.yaml", CLEAR)
    shell.write("prod/.env", "TOKEN=clear\n")
    shell.write("vars.yaml", seal(shell, f"PASSWORD: {CANARY}-2\n"))
    shell.write("application.yaml", APPLICATION)
    return shell


def rendered(shell: Shell, *arguments: str) -> dict[str, Any]:
    result = shell.agent("render", "-o", "json", "-f", "application.yaml", *arguments)
    assert result.code == 0, result.err
    assert CANARY not in result.err
    return {item["metadata"]["name"]: item for item in json.loads(result.out)["items"]}


def test_no_key_is_needed_and_no_value_is_shown(tree: Shell) -> None:
    tree.env("SOPS_AGE_KEY", None)
    found = rendered(tree)
    assert found["prod-db"]["stringData"]["password"] == "<secret sops:prod/db.yaml#stringData.password>"
    assert found["prod-url"]["stringData"]["url"] == "<secret sops:vars.yaml#PASSWORD>"
    assert CANARY not in json.dumps(found)


def test_keys_verify_and_reveal_what_was_made(tree: Shell) -> None:
    assert CANARY not in json.dumps(rendered(tree, "--verify"))
    found = rendered(tree, "--reveal", "--force")
    assert found["prod-db"]["stringData"] == {"password": CANARY, "url": "a-${PASSWORD}-b"}
    assert found["prod-url"]["stringData"]["url"] == f"http://u:{CANARY}-2@shop.example.com"
    assert found["prod-url"]["stringData"]["ref"].startswith("<secret ")


def test_a_private_key_opens_each_file_once(tree: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the file that stands as one value, whose MAC is verified with the others': a key may be in a service that bills."""
    unwrap, asked = AgeKeys.unwrap, list[WrappedKey]()

    def counted(keys: AgeKeys, key: WrappedKey) -> Secret:
        asked.append(key)
        return unwrap(keys, key)

    tree.write("prod/app.json", seal(tree, json.dumps({"PASSWORD": CANARY}), "app.json"))
    tree.write("prod/kustomization.yaml", KUSTOMIZATION.replace("envs: [.env]", "envs: [.env], files: [app.json]"))
    monkeypatch.setattr(AgeKeys, "unwrap", counted)
    found = rendered(tree, "--reveal", "--force")
    assert CANARY in found["prod-env"]["stringData"]["app.json"]
    assert len(asked) == len(set(asked)) == 3


def test_a_file_that_does_not_verify_leaves_nothing_to_show(tree: Shell) -> None:
    sealed = (tree.folder / "prod/db.yaml").read_text()
    tree.write("prod/db.yaml", sealed.replace("name: db", "name: other"))
    assert tree.agent("render", "-f", "application.yaml").code == 0
    result = tree.agent("render", "-f", "application.yaml", "--verify")
    assert (result.code, result.out) == (1, b"")
    assert "prod/db.yaml" in result.err


def test_what_kustomize_refuses_is_said_with_its_file(tree: Shell) -> None:
    tree.write("prod/kustomization.yaml", KUSTOMIZATION.replace("clear.yaml", "none.yaml"))
    result = tree.agent("render", "-f", "application.yaml")
    assert (result.code, result.out) == (1, b"")
    assert "prod/kustomization.yaml" in result.err


def test_a_folder_is_rendered_without_an_application(tree: Shell) -> None:
    result = tree.agent("render", "-o", "json", "--kustomize", "prod")
    found = {item["metadata"]["name"]: item for item in json.loads(result.out)["items"]}
    assert set(found) == {"prod-db", "prod-url", "prod-env"}
    assert found["prod-db"]["stringData"]["password"] == "<secret sops:prod/db.yaml#stringData.password>"
    assert tree.agent("render", "--kustomize", "../prod").code == 2
    assert tree.agent("render", "--kustomize", "prod", "-f", "application.yaml").code == 2
    assert tree.agent("render", "--kustomize", "none").code == 1


def test_a_folder_without_a_kustomization_is_listed_where_that_is_asked_for(tree: Shell) -> None:
    (tree.folder / "prod/kustomization.yaml").unlink()
    assert tree.agent("render", "--kustomize", "prod").code == 1
    result = tree.agent("render", "-o", "json", "--kustomize", "prod", "--generate")
    assert {item["metadata"]["name"] for item in json.loads(result.out)["items"]} == {"db", "url"}
    assert CANARY not in result.out.decode() + result.err
    tree.write("application.yaml", APPLICATION.replace("{path: prod}", "{path: prod, generate: true}"))
    assert set(rendered(tree)) == {"db", "url"}
    assert tree.agent("render", "--generate").code == 2


def test_generators_of_ksops_need_no_program_and_no_key(tree: Shell) -> None:
    generator = (
        "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: x}\n"
        "files: [db.yaml]\nsecretFrom: [{metadata: {name: made}, files: [key=whole.txt]}]\n"
    )
    tree.write("prod/kustomization.yaml", "generators: [ksops.yaml]\nnamePrefix: prod-\n")
    tree.write("prod/ksops.yaml", generator)
    tree.write("prod/whole.txt", seal(tree, CANARY, "whole.txt"))
    found = rendered(tree, "--reveal", "--force")
    assert found["prod-db"]["stringData"]["password"] == CANARY
    assert found["prod-made"]["stringData"] == {"key": CANARY}
    tree.env("SOPS_AGE_KEY", None)
    result = tree.agent("render", "-o", "json", "--kustomize", "prod")
    found = {item["metadata"]["name"]: item for item in json.loads(result.out)["items"]}
    assert found["prod-made"]["stringData"] == {"key": "<secret sops:prod/whole.txt>"}
    assert CANARY not in json.dumps(found) + result.err


def test_variables_name_namespaces_within_the_destination(tree: Shell) -> None:
    maps = "".join(
        f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: '${{{name.upper()}}}'}}\n"
        for name in ("ours", "theirs")
    )
    tree.write("prod/clear.yaml", maps)
    variables = "variables: {HOST: h, OURS: shop, THEIRS: billing}"
    text = APPLICATION.replace("variables: {HOST: shop.example.com}", variables)
    tree.write("application.yaml", text)
    result = tree.agent("render", "-o", "json", "-f", "application.yaml")
    assert result.code == 1
    found = {item["metadata"]["name"]: item["metadata"] for item in json.loads(result.out)["items"]}
    assert found["prod-ours"] == {"name": "prod-ours", "namespace": "shop"}
    assert "prod-theirs" not in found
    assert "billing/prod-theirs" in result.err
    assert "prod/clear.yaml" in result.err

    tree.write("application.yaml", text.replace(", namespace: shop", ""))
    result = tree.agent("render", "-o", "json", "-f", "application.yaml", "-n", "billing")
    assert result.code == 1
    names = {item["metadata"]["name"] for item in json.loads(result.out)["items"]}
    assert "prod-theirs" in names
    assert "prod-ours" not in names


def test_a_sealed_value_that_an_overlay_does_not_use_is_named(tree: Shell) -> None:
    tree.write("prod/kustomization.yaml", KUSTOMIZATION + "patches: [{path: gone.yaml}]\n")
    tree.write("prod/gone.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n$patch: delete\n")
    result = tree.agent("render", "-f", "application.yaml")
    assert result.code == 0, result.err
    assert "encrypted values are used in none of the rendered objects" in result.err
    assert "sops:prod/db.yaml#stringData.password" in result.err
    assert "hint: take them out, or use them" in result.err
    tree.write("prod/kustomization.yaml", KUSTOMIZATION)
    assert "sealed values" not in tree.agent("render", "-f", "application.yaml").err
