"""Files that are not what they seem: the error says what they are, rather than what they fail as."""

from __future__ import annotations

import io
import zipfile
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shell

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 12345\n"


@pytest.mark.parametrize("name", ["s.yaml", "s.json", "s.env", "s.ini", "s.bin"])
@pytest.mark.parametrize("command", [["encrypt", "--age", "RECIPIENT"], ["decrypt"], ["verify", "--offline"]])
def test_a_pointer_of_git_lfs_is_called_one(shell: Shell, name: str, command: list[str]) -> None:
    shell.write(name, POINTER)
    words = [shell.recipient if word == "RECIPIENT" else word for word in command]
    done = shell.agent(*words, name)
    assert done.code != 0
    assert "a pointer of Git LFS" in done.err + done.out.decode()
    assert "git lfs pull" in done.err


@pytest.mark.parametrize("name", ["s.json", "s.env", "s.ini"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf16_is_called_one(shell: Shell, name: str, encoding: str) -> None:
    text = {"s.json": '{"a": "b"}', "s.env": "A=b\n", "s.ini": "[s]\na = b\n"}[name]
    shell.write(name, text.encode(encoding))
    done = shell.agent("encrypt", "--age", shell.recipient, name)
    assert (done.code, "is in UTF-16" in done.err) == (2, True)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_yaml_in_utf16_without_a_mark_is_called_so(shell: Shell, encoding: str) -> None:
    shell.write("s.yaml", "a: b\n".encode(encoding))
    done = shell.agent("encrypt", "--age", shell.recipient, "s.yaml")
    assert (done.code, "is in UTF-16" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "line"), [("a:\n\tb: 1\n", 2), ("\ta: 1\n", 1), ("é: 1\nb:\n  c: x\n\td: 1\n", 4), ("a:\n- x\n\t- y\n", 3)]
)
def test_a_tab_that_indents_is_called_one(shell: Shell, text: str, line: int) -> None:
    shell.write("s.yaml", text)
    done = shell.agent("encrypt", "--age", shell.recipient, "s.yaml")
    assert done.code == 2
    assert f"s.yaml:{line}:" in done.err
    assert "a tab cannot indent" in done.err


def test_a_blank_line_with_a_carriage_return_is_called_one(shell: Shell) -> None:
    shell.write("s.env", b"A=1\r\n\r\nB=2\r\n")
    done = shell.agent("encrypt", "--age", shell.recipient, "s.env")
    assert done.code == 2
    assert "s.env:2: the lines end with CRLF" in done.err


def test_values_that_end_with_a_carriage_return_are_warned_of(shell: Shell) -> None:
    shell.write("s.env", b"A=1\r\nB=2\r\n")
    done = shell.agent("encrypt", "--age", shell.recipient, "s.env")
    assert (done.code, "CRLF" in done.err) == (0, True)
    shell.write("s.env", b"\xef\xbb\xbfA=1\n")
    done = shell.agent("encrypt", "--age", shell.recipient, "s.env")
    assert (done.code, "byte order mark" in done.err) == (0, True)
    shell.write("s.env", b"A=1\n")
    assert shell.agent("encrypt", "--age", shell.recipient, "s.env").err == ""


KEYS = {"utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-8-sig": "byte order mark", "": "Git LFS"}


@pytest.mark.parametrize("encoding", KEYS)
@pytest.mark.parametrize("given", ["SOPS_AGE_KEY_FILE", "--sealing-key"])
def test_a_key_file_says_what_it_is(shell: Shell, encoding: str, given: str) -> None:
    cause = KEYS[encoding]
    key = shell.write("key.txt", f"# a key\n{shell.identity}\n".encode(encoding) if encoding else POINTER)
    if given == "--sealing-key":
        done = shell.agent("migrate", "sealed-secrets", "-i", given, str(key), ".")
    else:
        shell.write("s.yaml", "a: 1\n")
        assert shell.agent("encrypt", "-i", "--age", shell.recipient, "s.yaml").code == 0
        shell.env("SOPS_AGE_KEY", None)
        shell.env(given, str(key))
        done = shell.agent("decrypt", "s.yaml")
    assert done.code != 0
    assert cause in done.err
    assert "key.txt" in done.err
    assert shell.identity not in done.err


WRONG_RULES = {
    "nothing": ("", "since .sops.yaml has no creation_rules (rules "),
    "comments alone": ("# rules\n", "since .sops.yaml has no creation_rules"),
    "another name": ("creation_rule:\n- age: RECIPIENT\n", "since .sops.yaml has no creation_rules"),
    "rules of nothing": ("creation_rules:\n", "since .sops.yaml has no creation_rules"),
    "a level too deep": ("sops:\n  creation_rules:\n  - age: RECIPIENT\n", "since .sops.yaml has no creation_rules"),
    "a key beside the rules": (
        "creation_rules:\n- path_regex: .*\nage: RECIPIENT\n",
        "since the rule that fits names none (rules ",
    ),
    "no key": ("creation_rules:\n- path_regex: .*\n  age:\n", "since the rule that fits names none"),
    "conflicts": (
        "creation_rules:\n<<<<<<< HEAD\n- age: RECIPIENT\n=======\n- age: age1x\n>>>>>>> other\n",
        ".sops.yaml:2: the file has conflicts of a merge",
    ),
    "a template": ("creation_rules:\n{{ range .keys }}\n", ".sops.yaml:2: this looks like a template"),
    "a glob": ("creation_rules:\n- path_regex: '*.yaml'\n  age: RECIPIENT\n", "a regular expression, not a glob"),
    "no ARN": ("creation_rules:\n- kms: alias/x\n", "it has the form arn:aws:kms:REGION:ACCOUNT:key/ID"),
    "no address of a vault": (
        "creation_rules:\n- azure_keyvault: https://a@b.vault.azure.net/keys/k/v\n",
        "it has the form https://NAME.vault.azure.net/keys/KEY/VERSION",
    ),
}


@pytest.mark.parametrize("rules", WRONG_RULES)
def test_rules_that_say_nothing_of_a_file_are_named(shell: Shell, rules: str) -> None:
    text, cause = WRONG_RULES[rules]
    shell.write(".sops.yaml", text.replace("RECIPIENT", shell.recipient))
    shell.write("s.yaml", "a: 1\n")
    done = shell.agent("encrypt", "s.yaml")
    assert (done.code, cause in done.err) == (1, True), done.err
    assert "or write a .sops.yaml" not in done.err
    assert "check that the private key is available" not in done.err


def test_without_rules_they_are_what_is_missing(shell: Shell) -> None:
    shell.write("s.yaml", "a: 1\n")
    assert "or write a .sops.yaml" in shell.agent("encrypt", "s.yaml").err


@pytest.mark.parametrize(
    ("written", "meant"), [("path_regexp", "path_regex"), ("encrypted_regexp", "encrypted_regex"), ("note", "")]
)
def test_a_field_of_a_rule_that_is_misspelt_is_named(shell: Shell, written: str, meant: str) -> None:
    shell.write(".sops.yaml", f"creation_rules:\n- {written}: x\n  age: {shell.recipient}\n")
    shell.write("s.yaml", "a: 1\n")
    done = shell.agent("encrypt", "s.yaml")
    assert done.code == 0
    warning = f".sops.yaml: a rule has no field {written} (rule 1): did you mean {meant}?"
    assert (done.err.count(warning), "warning" in done.err) == ((1, True) if meant else (0, False))


AROUND = ['"{}"', "'{}'", "SOPS_AGE_KEY={}", "export SOPS_AGE_KEY={}", "key: {}", '{{"key": "{}"}}', "{} # mine"]


@pytest.mark.parametrize("around", AROUND)
def test_text_around_a_key_is_called_so(shell: Shell, around: str) -> None:
    shell.write("s.yaml", "a: 1\n")
    assert shell.agent("encrypt", "-i", "--age", shell.recipient, "s.yaml").code == 0
    shell.env("SOPS_AGE_KEY", f"# a key\n{around.format(shell.identity)}\n")
    done = shell.agent("decrypt", "s.yaml")
    assert done.code == 128
    assert "SOPS_AGE_KEY:2: an age identity with text around it" in done.err
    assert shell.identity not in done.err


KEY_IN_PLACE_OF = {
    "a file of keys": (("decrypt", "s.yaml"), {"SOPS_AGE_KEY_FILE": "KEY"}),
    "a file of ssh keys": (("decrypt", "s.yaml"), {"SOPS_AGE_SSH_PRIVATE_KEY_FILE": "KEY"}),
    "a file of keys, with its comment": (("decrypt", "s.yaml"), {"SOPS_AGE_KEY_FILE": "# mine\nKEY"}),
    "a command": (("decrypt", "s.yaml"), {"SOPS_AGE_KEY_CMD": "KEY"}),
    "a file": (("decrypt", "KEY"), {}),
    "a file whose recipient is wanted": (("keygen", "-y", "KEY"), {}),
    "a flag's value": (("decrypt", "--key=KEY", "s.yaml"), {}),
    "a command of the agent": (("KEY",), {}),
    "a second recipient": (("encrypt", "--age", "age1q KEY", "p.yaml"), {}),
    "a recipient in quotes": (("encrypt", "--age", "'KEY'", "p.yaml"), {}),
    "rules": (("--config", "KEY", "encrypt", "p.yaml"), {}),
    "an Application": (("render", "-f", "KEY"), {}),
}


@pytest.mark.parametrize("place", KEY_IN_PLACE_OF)
@pytest.mark.parametrize("kind", ["age", "ssh"])
def test_a_private_key_where_something_else_belongs_is_not_shown(shell: Shell, place: str, kind: str) -> None:
    arguments, environment = KEY_IN_PLACE_OF[place]
    body = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU"
    key = (
        shell.identity
        if kind == "age"
        else f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----"
    )
    shell.write("s.yaml", "a: 1\n")
    assert shell.agent("encrypt", "-i", "--age", shell.recipient, "s.yaml").code == 0
    shell.write("p.yaml", "a: 1\n")
    shell.env("SOPS_AGE_KEY", None)
    for name, value in environment.items():
        shell.env(name, value.replace("KEY", key))
    done = shell.agent(*(each.replace("KEY", key) for each in arguments))
    assert done.code != 0
    shown = done.err + done.out.decode()
    assert shell.identity.removeprefix("AGE-SECRET-KEY-") not in shown
    assert body not in shown
    if place.startswith("a file of keys"):
        assert "a private key stands where the path of its file belongs" in done.err


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
      - name: a
        env: [{name: ON, value: x}]
"""


def test_a_name_that_yaml_takes_for_true_is_called_so(shell: Shell) -> None:
    shell.write("d.yaml", DEPLOYMENT)
    done = shell.agent("render", "-n", "shop", ".")
    assert done.code == 1
    assert "containers[0].env[0]: a merge key is true or false, not text" in done.err
    assert "quote it" in done.err


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("Secret", "stringData", "x"),
        ("Secret", "data", "eHh4"),
        ("ConfigMap", "data", "x"),
        ("ConfigMap", "binaryData", "eHh4"),
    ],
)
def test_more_than_a_mebibyte_is_called_so(shell: Shell, kind: str, field: str, value: str) -> None:
    per = len(value) if value == "x" else 3
    for count, code in ((1024 * 1024 // per, 0), (1024 * 1024 // per + 4, 1)):
        head = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: big}}\n{field}:\n"
        shell.write("s.yaml", f"{head}  a: {value * (count - count // 2)}\n  b: {value * (count // 2)}\n")
        done = shell.agent("render", "-n", "shop", ".")
        assert (done.code, "larger than 1 MiB" in done.err) == (code, code == 1), done.err


def _packed(module: str) -> bytes:
    return bytes(import_module(module).compress(b"a: 1\n"))


def _archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("s.yaml", "a: 1\n")
    return stream.getvalue()


GUISES = {
    "gzip": (_packed("gzip"), "compressed by gzip"),
    "xz": (_packed("lzma"), "compressed by xz"),
    "bzip2": (_packed("bz2"), "compressed by bzip2"),
    "ZIP": (_archive(), "a ZIP archive"),
    "HTML": (b"<!DOCTYPE html>\n<html><title>Sign in</title>a: 1</html>\n", "a page of HTML"),
    "HTML below a blank line": (b"\n <HTML lang=en>", "a page of HTML"),
    "Ansible Vault": (b"$ANSIBLE_VAULT;1.1;AES256\n3132\n", "encrypted by Ansible Vault"),
    "age": (b"age-encryption.org/v1\n-> X25519 x\n", "encrypted by age itself, not by SOPS"),
    "PGP": (b"-----BEGIN PGP MESSAGE-----\n\nhQEM\n", "encrypted by PGP itself, not by SOPS"),
    "UTF-32": ("a: 1\n".encode("utf-32"), "in UTF-32"),
}


@pytest.mark.parametrize("guise", GUISES)
@pytest.mark.parametrize("name", ["s.yaml", "s.json", "s.env", "s.ini"])
def test_what_is_something_else_is_called_that(shell: Shell, guise: str, name: str) -> None:
    data, cause = GUISES[guise]
    shell.write(name, data)
    for command in (("encrypt", "--age", shell.recipient), ("decrypt",), ("verify", "--offline")):
        done = shell.agent(*command, name)
        assert done.code != 0
        assert f"{name}: the file is {cause}" in done.err + done.out.decode()
    shell.write("folder/" + name, data)
    assert f"the file is {cause}" in shell.agent("render", "-n", "shop", "folder").err or not name.endswith(
        ("yaml", "json")
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.yaml", "x: 1\n<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n"),
        ("s.json", '{\n<<<<<<< HEAD\n"a": 1\n=======\n"a": 2\n>>>>>>> other\n}\n'),
        ("s.env", "x=1\n<<<<<<< HEAD\na=1\n=======\na=2\n>>>>>>> other\n"),
        ("s.ini", "[x]\n<<<<<<< HEAD\na=1\n=======\na=2\n>>>>>>> other\n"),
        ("s.yaml", "x: 1\r\n<<<<<<< HEAD\r\na: 1\r\n=======\r\n"),
    ],
)
def test_conflicts_of_a_merge_are_called_so(shell: Shell, name: str, text: str) -> None:
    shell.write(name, text)
    done = shell.agent("encrypt", "--age", shell.recipient, name)
    assert done.code == 2
    assert f"{name}:2: the file has conflicts of a merge" in done.err
    if name not in {"s.ini", "s.env"}:
        assert "the file has conflicts of a merge" in shell.agent("render", "-n", "shop", ".").err


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: 1\nb: {{ .Values.b }}\n", 2), ("{% if x %}\na: 1\n{% endif %}\n", 1), ("a: 1\n{{- if x }}\nb: 2\n", 2)],
)
def test_a_template_is_called_one(shell: Shell, text: str, line: int) -> None:
    shell.write("s.yaml", text)
    done = shell.agent("encrypt", "--age", shell.recipient, "s.yaml")
    assert done.code == 2
    assert f"s.yaml:{line}: this looks like a template" in done.err


def test_braces_elsewhere_make_no_template_of_a_file(shell: Shell) -> None:
    shell.write("s.yaml", "a: '{{ $labels.pod }}'\nb: [1, 2\n")
    assert "expected `,` or `]` here" in shell.agent("encrypt", "--age", shell.recipient, "s.yaml").err


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (b"a: 1\nb: \xff\n", "s.yaml:2: bytes that are not UTF-8"),
        (b"a: 1\nb: \0\n", "s.yaml:2: a control character, which YAML does not allow"),
        (b"a:b\n", "a map, and not a text"),
        (b"- a\n", "a map, and not a list"),
    ],
)
def test_what_is_no_yaml_of_sops_says_where_and_why(shell: Shell, text: bytes, cause: str) -> None:
    shell.write("s.yaml", text)
    done = shell.agent("encrypt", "--age", shell.recipient, "s.yaml")
    assert (done.code, cause in done.err, "hint: " in done.err) == (2, True, True), done.err


def test_a_byte_order_mark_in_json_is_called_one(shell: Shell) -> None:
    shell.write("s.json", b'\xef\xbb\xbf{"a": 1}')
    for command in (("encrypt", "--age", shell.recipient), ("decrypt",)):
        done = shell.agent(*command, "s.json")
        assert done.code != 0
        assert "s.json: the file begins with a byte order mark" in done.err


@pytest.mark.parametrize("text", ['{"a": 1,}', "{'a': 1}", '{"a": 1} // b'])
def test_what_people_write_and_json_has_not_is_named(shell: Shell, text: str) -> None:
    shell.write("s.json", text)
    assert (
        "no comments, and no comma behind the last value"
        in shell.agent("encrypt", "--age", shell.recipient, "s.json").err
    )


@pytest.mark.parametrize("text", ["? b: [x]\n: y\n", "a: 1\n? b: c\n: d: e\n", "? {b: c}\n: y\n"])
def test_a_map_that_is_a_key_is_refused_by_its_line(shell: Shell, text: str) -> None:
    shell.write("s.yaml", text)
    done = shell.agent("encrypt", "--age", shell.recipient, "s.yaml")
    assert done.code != 0
    assert f"s.yaml:{text[: text.index('?') + 1].count(chr(10)) + 1}:3: a map or list cannot be a key" in done.err
