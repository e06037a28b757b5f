"""Secrets in the clear, and clear values of encrypted files: what the commands say of a repository. Nothing of it changes an exit code."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

if TYPE_CHECKING:
    from conftest import Shell

CANARY = "canary-of-plaintext-4711"
SECRET = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: {CANARY}}}\n"
RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()
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


UNBOUND = {
    "a.yaml": ("a: x\nb_unencrypted: 1\nc: null\nd: {}\ne: [[]]\n", "b_unencrypted, c, d, e[0]"),
    "a.json": ('{"a": "x", "b": {"c_unencrypted": true, "d": []}}', "b.c_unencrypted, b.d"),
    "a.env": ("A=x\nB_unencrypted=1\nC=\n", "B_unencrypted, C"),
    "a.ini": ("[s]\na = x\nb_unencrypted = 1\n", "s.b_unencrypted"),
}


@pytest.mark.parametrize("name", UNBOUND)
@pytest.mark.parametrize("only_encrypted", [False, True])
def test_verify_names_what_the_mac_does_not_cover(shell: Shell, name: str, *, only_encrypted: bool) -> None:
    text, fields = UNBOUND[name]
    rule = "  mac_only_encrypted: true\n" if only_encrypted else ""
    shell.write(".sops.yaml", f"creation_rules:\n- age: {shell.recipient}\n{rule}")
    shell.write(name, text)
    assert shell.agent("encrypt", "-i", name).code == 0
    result = shell.agent("verify", name)
    where = "" if only_encrypted else "where "
    verb, are = ("changed", "") if only_encrypted else ("swapped", " are")
    assert result.code == 0, result.err
    assert (
        f"{name}: the MAC does not cover {where}clear-text values{are}, so they can be {verb} unnoticed (fields {fields})"
        in result.err
    )


def test_verify_has_nothing_to_name_where_all_is_encrypted(shell: Shell) -> None:
    shell.write("a.ini", "[s]\na = x\n")
    assert shell.agent("encrypt", "-i", "--age", shell.recipient, "a.ini").code == 0
    assert "MAC does not cover" not in shell.agent("verify", "a.ini").err


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


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: SecretList\nitems:\n- metadata: {name: a}\n  stringData: {password: x}\n",
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  stringData: {password: x}\n",
        "apiVersion: v1\nkind: !!str Secret\nmetadata: {name: a}\nstringData: {password: x}\n",
        "apiVersion: v1\nkind: &kind Secret\nmetadata: {generateName: a-}\nstringData: {password: x}\n",
        '{"kind": "ConfigMap"}\n{"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "x"}}\n',
        "{apiVersion: v1, kind: Secret, stringData: {password: x}}\n---\n{apiVersion: v1, kind: ConfigMap}\n",
        "secretGenerator:\n- name: a\n  literals: [password=x]\n",
        "patches:\n- patch: |\n    apiVersion: v1\n    kind: Secret\n    metadata: {name: a}\n    stringData: {a: x}\n",
        "patchesStrategicMerge:\n- |\n  apiVersion: v1\n  kind: Secret\n  metadata: {name: a}\n  data: {a: eA==}\n",
        "patches:\n- target: {kind: Secret}\n  patch: |\n    stringData:\n      a: x\n",
        "patches:\n- target: {kind: Secret}\n  patch: |\n    - op: add\n      path: /stringData/a\n      value: x\n",
        "patchesJson6902:\n- target: {version: v1, kind: Secret}\n  patch: |-\n    - {op: add, path: /data, value: {a: eA==}}\n    # end\n",
    ],
    ids=[
        *("SecretList", "List", "tag", "anchor", "stream of JSON", "flow", "secretGenerator"),
        *("patch", "strategic merge", "patch of a target", "operations", "JSON 6902"),
    ],
)
@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_secret_in_the_clear_is_found_however_it_is_written(tree: Shell, text: str, suffix: str) -> None:
    tree.write(f"other/a.{suffix}", text)
    for command in (("encrypt", "--check"), ("verify", "--offline")):
        result = tree.agent(*command, "other")
        assert result.code == 0, result.err
        assert f"warning: other/a.{suffix}:" in result.err
        assert "in the clear" in result.err


def test_generators_with_files_and_references_have_nothing_in_the_clear(tree: Shell) -> None:
    tree.write("other/kustomization.yaml", "secretGenerator:\n- literals: ['a=vault://main/a/b#c']\n  envs: [a.env]\n")
    assert "warning" not in tree.agent("encrypt", "--check", "other").err


def test_patches_without_values_of_a_secret_have_nothing_in_the_clear(tree: Shell) -> None:
    tree.write(
        "other/kustomization.yaml",
        """\
patches:
- path: secret.yaml
  target: {kind: Secret}
- target: {kind: Secret}
  patch: |
    - op: remove
      path: /data/a
    - op: add
      path: /metadata/labels
      value: {a: b}
    - op: add
      path: /stringData/b
      value: vault://main/a/b#c
    - {op: add, path: /stringData, value: {}}
    - {op: add, path: /data/c, value: null}
    - {op: add, path: /data/d, value: []}
- target: {kind: ConfigMap}
  patch: |
    - op: add
      path: /data/a
      value: x
- patch: |
    apiVersion: v1
    kind: Secret
    metadata: {name: a}
    $patch: delete
- patch: |
    {{ a template
      of Secret }}
""",
    )
    assert "warning" not in tree.agent("encrypt", "--check", "other").err


def _private_keys(shell: Shell) -> dict[str, str]:
    """One of each kind that no passphrase protects, and where they hide."""
    rsa = RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    pkcs8 = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    openssh = ED25519.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    age = shell.agent("keygen").out.decode()
    indented = "".join(f"    {line}\n" for line in pkcs8.splitlines())
    return {
        "keys.txt": age,
        "age-without-name": age.splitlines()[-1],
        "hybrid.agekey": shell.agent("keygen", "--pq").out.decode(),
        "tls.key": rsa,
        "config.yaml": f"apiVersion: v1\nkind: ConfigMap\ndata:\n  key: |\n{indented}",
        "config.json": json.dumps({"key": pkcs8}),
        "windows.pem": pkcs8.replace("\n", "\r\n"),
        "id_ed25519": openssh,
        "README.md": openssh,
        "gpg.asc": "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQHYBGQw\n",
    }


@pytest.mark.parametrize("command", [("encrypt", "--check"), ("verify", "--offline")], ids=lambda command: command[0])
def test_a_private_key_in_a_folder_is_warned_of(tree: Shell, command: tuple[str, ...]) -> None:
    texts = _private_keys(tree)
    for name, text in texts.items():
        tree.write(f"other/{name}", text)
    result = tree.agent(*command, "other")
    assert result.code == 0, result.err
    for name, text in texts.items():
        assert re.search(rf"warning: other/{re.escape(name)}:\d: the file has a private key\n", result.err)
        assert max(text.split(), key=len) not in result.err + result.out.decode()
    assert "hint: take it out of the repository and replace it: the history of Git keeps it" in result.err


def test_a_private_key_beside_what_is_encrypted_is_warned_of(tree: Shell) -> None:
    text = f"# {tree.agent('keygen').out.decode().splitlines()[-1]}\npassword: x\n"
    tree.write("sealed/a.secret.yaml", seal(tree, text, "--encrypted-regex", "^password$"))
    for command in (("encrypt", "--check"), ("verify", "--offline")):
        assert "sealed/a.secret.yaml:1: the file has a private key" in tree.agent(*command, "sealed").err


def test_public_keys_protected_ones_and_words_about_keys_are_none(tree: Shell) -> None:
    locked = BestAvailableEncryption(b"passphrase")
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    texts = {
        "public.pem": public.decode(),
        "pkcs8": RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked).decode(),
        "rsa": RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, locked).decode(),
        "openssh": ED25519.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, locked).decode(),
        "recipients.txt": tree.recipient,
        "guide.txt": "begins with -----BEGIN PRIVATE KEY-----, or AGE-SECRET-KEY-1…, or AGE-SECRET-KEY-1ABC\n",
    }
    for name, text in texts.items():
        tree.write(f"other/{name}", text)
    assert "private key" not in tree.agent("encrypt", "--check", "other").err


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
