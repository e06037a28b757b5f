"""Secrets in the clear, and clear values of encrypted files: what the commands say of a repository. Nothing of it changes an exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shell

CANARY = "canary-of-plaintext-4711"
SECRET = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: {CANARY}}}\n"
EMPTY = "apiVersion: v1\nkind: Secret\nmetadata: {name: empty}\n"
APPLICATION = """
apiVersion: signet-gitops.dev/v1alpha1
kind: Application
metadata: {name: web, namespace: shop}
spec:
  source: {url: 'https://git.example.com/shop.git', revision: {branch: main}}
  secrets: {plaintext: %s}
"""


def seal(shell: Shell, text: str, *flags: str) -> str:
    flags = ("--age", shell.recipient, *flags, "--filename-override", "s.secret.yaml")
    made = shell.agent("encrypt", *flags, stdin=text.encode())
    assert made.code == 0, made.err
    return made.out.decode()


@pytest.fixture
def tree(shell: Shell) -> Shell:
    """A repository with a rule for `*.secret.yaml`, and a Secret that no rule is for."""
    shell.write(".sops.yaml", f"creation_rules:\n- path_regex: secret\\.yaml$\n  age: {shell.recipient}\n")
    shell.write("app/db.yaml", "# of the shop\n" + SECRET)
    shell.write(
        "app/db.json",
        json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "j"}, "data": {"a": "eA=="}}),
    )
    shell.write("app/empty.yaml", EMPTY)
    shell.write("app/template.yaml", "{{ if x }}\nkind: Secret\n{{ end }}\n" + SECRET)
    return shell


@pytest.mark.parametrize("command", [("encrypt", "--check"), ("verify", "--offline")], ids=lambda command: command[0])
def test_a_folder_with_a_secret_in_the_clear_is_warned_of(tree: Shell, command: tuple[str, ...]) -> None:
    result = tree.agent(*command, "app")
    assert result.code == 0, result.err
    assert "agent: warning: app/db.yaml:2: a Secret is in the clear (fields stringData.password)" in result.err
    assert "agent: warning: app/db.json" in result.err
    assert result.err.count("agent: warning") == 2
    assert CANARY not in result.err + result.out.decode()


@pytest.mark.parametrize(
    "reference",
    [
        "vault://main/secret/shop/db#password",
        "<path:secret/data/shop/db#password>",
        "vault:secret/data/shop/db#password",
        "ref+vault://secret/shop/db#/password",
    ],
)
def test_a_reference_of_whatever_tool_is_nothing_in_the_clear(tree: Shell, reference: str) -> None:
    tree.write("app/db.yaml", SECRET.replace(CANARY, json.dumps(reference)))
    assert "app/db.yaml" not in tree.agent("verify", "--offline", "app").err


@pytest.mark.parametrize("command", [("encrypt", "--check"), ("verify", "--offline")], ids=lambda command: command[0])
def test_a_report_for_programs_has_the_warnings(tree: Shell, command: tuple[str, ...]) -> None:
    result = tree.agent(*command, "-o", "json", "app")
    assert result.code == 0
    files = {each["file"]: each for each in json.loads(result.out)["files"]}
    assert files.keys() == {"app/db.yaml", "app/db.json"}
    assert files["app/db.yaml"]["result"] == "in the clear"
    assert "stringData.password" in json.dumps(files["app/db.yaml"]["warnings"])


def test_what_an_encrypted_file_leaves_clear_of_a_secret_is_warned_of(tree: Shell) -> None:
    text = SECRET.replace("{password", "{user: me, password")
    tree.write("sealed/db.secret.yaml", seal(tree, text, "--encrypted-regex", "^password$"))
    for command in (("encrypt", "--check"), ("verify", "--offline")):
        result = tree.agent(*command, "sealed")
        assert result.code == 0, result.err
        assert "sealed/db.secret.yaml:1: a Secret is in the clear (fields stringData.user)" in result.err


def test_verify_names_what_the_mac_does_not_hold_in_its_place(tree: Shell) -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\ntype: x\npassword: s\nprivileged: false\nrunAsNonRoot: true\nnone: null\n"
    tree.write("pod.yaml", seal(tree, text, "--encrypted-regex", "^password$"))
    result = tree.agent("verify", "pod.yaml")
    assert result.code == 0, result.err
    assert "(fields privileged, runAsNonRoot, none)" in result.err


def test_the_values_that_verify_names_can_indeed_be_exchanged(tree: Shell) -> None:
    """Why it is warned of: sops takes these files too. That a value itself is another is still found."""
    text = "password: s\nprivileged: false\nrunAsNonRoot: true\nuser: db\nhost: prod\n"
    sealed = seal(tree, text, "--encrypted-regex", "^password$")
    changes = {
        ("privileged: false\nrunAsNonRoot: true", "runAsNonRoot: false\nprivileged: true"): 0,
        ("user: db\nhost: prod", "user: dbp\nhost: rod"): 0,
        ("user: db\n", "user: db\nmore: null\n"): 0,
        ("privileged: false", "privileged: true"): 51,
    }
    for (before, after), code in changes.items():
        assert before in sealed
        tree.write("one.yaml", sealed.replace(before, after))
        result = tree.agent("verify", "one.yaml")
        assert result.code == code, result.err
        assert "privileged" in result.err


def test_a_file_that_is_encrypted_whole_is_no_warning(tree: Shell) -> None:
    tree.write("sealed/db.secret.yaml", seal(tree, SECRET))
    tree.write("sealed/values.secret.yaml", seal(tree, "a: {b: [1, 2]}\n"))
    for command in (("encrypt", "--check"), ("verify", "--offline")):
        assert "warning" not in tree.agent(*command, "sealed").err


@pytest.mark.parametrize("flags", [(), ("--verify",)])
def test_render_warns(tree: Shell, flags: tuple[str, ...]) -> None:
    tree.write("app/config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: 'x ${NAME}'}\n")
    (tree.folder / "app/template.yaml").unlink()
    result = tree.agent("render", *flags, "-n", "shop", "--layers", "app", "-o", "json")
    assert result.code == 0, result.err
    assert len(json.loads(result.out)["items"]) == 4
    assert (
        "warning: app/db.yaml:2: Secret shop/db: a Secret is in the clear in Git (fields stringData.password)"
        in result.err
    )
    assert "text such as ${NAME} is applied as it is written (files app/config.yaml)" in result.err
    assert CANARY not in result.err + result.out.decode()


@pytest.mark.parametrize("who", ["application", "operator"])
def test_render_fails_where_the_application_or_the_operator_denies_it(tree: Shell, who: str) -> None:
    (tree.folder / "app/template.yaml").unlink()
    tree.write("operator.yaml", "git: {allowedHosts: [git.example.com]}\nsecrets: {plaintext: deny}\n")
    tree.write("web.yaml", APPLICATION % ("deny" if who == "application" else "warn"))
    flags = ("--operator-file", "operator.yaml") if who == "operator" else ()
    result = tree.agent("render", "-f", "web.yaml", *flags, "--layers", "app")
    assert result.code == 1
    assert "app/db.yaml:2: Secret shop/db: a Secret is in the clear in Git" in result.err
    assert b"name: empty" in result.out
    assert b"name: db" not in result.out
