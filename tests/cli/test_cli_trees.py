"""Folders, globs and several files in one process: which count, what a failure leaves, the report, and one data key for all."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from agent.cli import terminal
from agent.cli.keys import encryption

if TYPE_CHECKING:
    from conftest import Shell

PLAIN = "a: canary\nb: 2\n"


def sealed(shell: Shell, text: str = PLAIN, name: str = "s.yaml") -> bytes:
    made = shell.agent("encrypt", "--age", shell.recipient, "--filename-override", name, stdin=text.encode())
    assert made.code == 0, made.err
    return made.out


def rules(shell: Shell, pattern: str = "^secrets/") -> None:
    shell.write(".sops.yaml", f"creation_rules:\n  - path_regex: {pattern}\n    age: {shell.recipient}\n")


def files_of(shell: Shell, *arguments: str) -> dict[str, str]:
    result = shell.agent(*arguments, "-o", "json")
    return {line["file"]: line["result"] for line in json.loads(result.out)["files"]}


def test_a_folder_is_decrypted_where_it_is_encrypted(shell: Shell) -> None:
    for name in ("t/s.yaml", "t/deep/er/s.json", "t/s.env", "t/s.ini", "t/blob"):
        text = (
            '{"a": "canary"}\n'
            if name.endswith("json")
            else "[x]\na = canary\n"
            if name.endswith("ini")
            else "a=canary\n"
        )
        shell.write(name, sealed(shell, PLAIN if name.endswith("yaml") else text, name))
    shell.write("t/plain.yaml", "sops: not this\n")
    shell.write("t/.git/s.yaml", sealed(shell))
    (shell.folder / "t/link.yaml").symlink_to(shell.write("outside.yaml", sealed(shell)))
    (shell.folder / "t/out").symlink_to(shell.write("elsewhere/s.yaml", sealed(shell)).parent)
    assert files_of(shell, "decrypt", "-i", "t") == dict.fromkeys(
        ["t/blob", "t/deep/er/s.json", "t/s.env", "t/s.ini", "t/s.yaml"], "decrypted"
    )
    assert (shell.folder / "t/s.yaml").read_text() == PLAIN
    for untouched in ("outside.yaml", "elsewhere/s.yaml", "t/.git/s.yaml"):
        assert "ENC[" in (shell.folder / untouched).read_text()


GLOBS = [
    ("*.yaml", ["a.yaml"]),
    ("envs/*/db.yaml", ["envs/dev/db.yaml", "envs/prod/db.yaml"]),
    ("envs/*", ["envs/dev/db.yaml", "envs/dev/deep/db.yaml", "envs/prod/db.yaml"]),
    ("**/db.yaml", ["envs/dev/db.yaml", "envs/dev/deep/db.yaml", "envs/prod/db.yaml"]),
    ("envs/**", ["envs/dev/db.yaml", "envs/dev/deep/db.yaml", "envs/prod/db.yaml"]),
    ("envs/[!d]*/d?.yaml", ["envs/prod/db.yaml"]),
    (".hidden/*", [".hidden/db.yaml"]),
]


@pytest.mark.parametrize(("glob", "expected"), GLOBS, ids=[glob for glob, _ in GLOBS])
def test_globs_that_the_shell_did_not_expand(shell: Shell, glob: str, expected: list[str]) -> None:
    data = sealed(shell)
    for name in ("a.yaml", "envs/dev/db.yaml", "envs/dev/deep/db.yaml", "envs/prod/db.yaml", ".hidden/db.yaml"):
        shell.write(name, data)
    assert list(files_of(shell, "decrypt", "--dry-run", glob)) == expected
    absolute = str(shell.folder / glob)
    assert list(files_of(shell, "decrypt", "--dry-run", absolute)) == [str(shell.folder / name) for name in expected]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(shell: Shell) -> None:
    shell.write("[a].yaml", sealed(shell))
    assert shell.agent("decrypt", "[a].yaml").out.decode() == PLAIN


def test_a_file_that_is_met_twice_has_one_turn(shell: Shell) -> None:
    shell.write("t/s.yaml", sealed(shell))
    assert list(files_of(shell, "decrypt", "-i", "t/s.yaml", "t", "t/*.yaml", "./t/../t/s.yaml")) == ["t/s.yaml"]


def test_a_failure_leaves_the_others_their_turn_and_is_reported(shell: Shell) -> None:
    data = sealed(shell, "a: 1\nb_unencrypted: canary\n")
    shell.write("t/1.yaml", data)
    shell.write("t/2.yaml", data.replace(b"b_unencrypted: canary", b"b_unencrypted: other"))
    shell.write("t/3.yaml", data[: len(data) // 2] + b"\n" + b"sops: {lastmodified: ''}\n")
    shell.write("t/4.yaml", data)
    result = shell.agent("decrypt", "-i", "t", "none.yaml", "-o", "json")
    report = json.loads(result.out)
    assert [(line["file"], line["result"], line.get("exit_code")) for line in report["files"]] == [
        ("t/1.yaml", "decrypted", None),
        ("t/2.yaml", "failed", 51),
        ("t/3.yaml", "failed", 1),
        ("t/4.yaml", "decrypted", None),
        ("none.yaml", "failed", 100),
    ]
    assert result.code == report["exit_code"] == 51
    assert (shell.folder / "t/4.yaml").read_text() == "a: 1\nb_unencrypted: canary\n"
    assert b"ENC[" in (shell.folder / "t/2.yaml").read_bytes()
    table = shell.agent("decrypt", "-i", "t")
    assert "t/2.yaml" in table.out.decode()
    assert "the file was altered after it was encrypted" in table.out.decode()
    assert b"2 failed" in table.out
    assert table.err.count("hint: restore it") == 1
    assert b"canary" not in result.out + table.out


def test_what_a_folder_has_a_rule_for_is_encrypted_once(shell: Shell) -> None:
    rules(shell)
    for name in ("secrets/a.yaml", "secrets/deep/b.json", "secrets/.env", "other/c.yaml"):
        shell.write(
            name, '{"a": "canary"}' if name.endswith("json") else "a=canary\n" if name.endswith("env") else PLAIN
        )
    shell.write("secrets/README", "text\n")
    shell.write("secrets/.sops.yaml", "a: 1\n")
    assert shell.agent("encrypt", "--check", ".").code == 1
    assert files_of(shell, "encrypt", "--dry-run", ".") == dict.fromkeys(
        ["secrets/.env", "secrets/a.yaml", "secrets/deep/b.json"], "would be encrypted"
    )
    assert (shell.folder / "secrets/a.yaml").read_text() == PLAIN
    assert shell.agent("encrypt", "-i", ".").code == 0
    assert shell.sops("decrypt", "secrets/a.yaml").out.decode() == PLAIN
    assert (shell.folder / "other/c.yaml").read_text() == PLAIN
    before = (shell.folder / "secrets/a.yaml").read_bytes()
    again = shell.agent("encrypt", "-i", ".")
    assert (again.code, again.out) == (0, b"3 already encrypted\n")
    assert shell.agent("encrypt", "--check", ".").code == 0
    assert (shell.folder / "secrets/a.yaml").read_bytes() == before


def test_a_named_file_without_a_rule_fails_and_a_binary_one_is_taken(shell: Shell) -> None:
    rules(shell)
    shell.write("secrets/key.pem", "canary\n")
    shell.write("other.yaml", PLAIN)
    assert files_of(shell, "encrypt", "-i", "secrets/*", "other.yaml") == {
        "secrets/key.pem": "encrypted",
        "other.yaml": "failed",
    }
    assert shell.sops("decrypt", "secrets/key.pem").out == b"canary\n"


def test_files_that_are_encrypted_together_share_a_data_key(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    other = shell.agent("keygen", "-o", "other.txt").err.split()[-1]
    shell.write(
        ".sops.yaml",
        f"creation_rules:\n  - path_regex: two\n    age: '{shell.recipient},{other}'\n  - age: {shell.recipient}\n",
    )
    for name in ("t/one-a.yaml", "t/one-b.yaml", "t/two-a.yaml", "t/two-b.yaml"):
        shell.write(name, PLAIN)
    assert shell.agent("encrypt", "-i", "t").code == 0
    headers = [(shell.folder / f"t/{name}.yaml").read_text().split("enc: |")[1].split("lastmodified")[0] for name in
               ("one-a", "one-b", "two-a", "two-b")]  # fmt: skip
    assert (headers[0] == headers[1], headers[2] == headers[3], headers[0] == headers[2]) == (True, True, False)
    asked: list[object] = []
    real = encryption.key_sources.master_keys

    class Counting:
        def __init__(self, masters: object) -> None:
            self.masters = masters

        def unwrap(self, key: object) -> object:
            asked.append(key)
            return self.masters.unwrap(key)

    monkeypatch.setattr(encryption.key_sources, "master_keys", lambda args: Counting(real(args)))
    assert shell.agent("decrypt", "-i", "t").code == 0
    assert len(asked) == 2


def test_files_of_sops_in_one_go(shell: Shell) -> None:
    for number in range(3):
        shell.write(f"t/{number}.yaml", PLAIN)
        assert shell.sops("encrypt", "-i", "--age", shell.recipient, f"t/{number}.yaml").code == 0
    assert shell.agent("decrypt", "-i", "t").out == b"".join(
        [
            b"FILE      RESULT     CAUSE\n",
            *(b"t/%d.yaml  decrypted\n" % number for number in range(3)),
            b"3 decrypted\n",
        ]
    )


FLAGS = [
    (8, ("decrypt", "a.yaml", "b.yaml")),
    (8, ("decrypt", "*.yaml")),
    (2, ("decrypt", "t")),
    (8, ("decrypt", "-i", "t", "--extract", '["a"]')),
    (8, ("encrypt", "-i", "t", "--output", "x")),
    (8, ("encrypt", "-i", "t", "--filename-override", "x")),
    (100, ("decrypt", "-i", "none*.yaml")),
    (2, ("encrypt", "-i", "")),
    (2, ("encrypt", "-i", "", "")),
    (100, ("decrypt", "-i", "none.yaml", "a.yaml")),
]


@pytest.mark.parametrize(("code", "arguments"), FLAGS, ids=[" ".join(arguments) for _, arguments in FLAGS])
def test_what_is_for_one_file_only_is_refused(shell: Shell, code: int, arguments: tuple[str, ...]) -> None:
    shell.write("t/s.yaml", PLAIN)
    for name in ("a.yaml", "b.yaml"):
        shell.write(name, sealed(shell))
    assert shell.agent(*arguments).code == code
    assert (shell.folder / "t/s.yaml").read_text() == PLAIN


def test_a_folder_that_cannot_be_read_is_a_failure_among_others(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.write("t/a/s.yaml", sealed(shell))
    shell.write("t/b/s.yaml", sealed(shell))
    real = os.scandir

    def scandir(path: object) -> object:
        if str(path).endswith("t/a"):
            raise PermissionError
        return real(path)

    # Root, as whom tests may run, is refused nothing.
    monkeypatch.setattr("agent.cli.files.trees.os.scandir", scandir)
    assert files_of(shell, "decrypt", "-i", "t") == {"t/a": "failed", "t/b/s.yaml": "decrypted"}


def test_names_in_a_report_move_no_cursor(shell: Shell) -> None:
    shell.write("t/\x1b[2J.yaml", sealed(shell))
    result = shell.agent("decrypt", "-i", "t")
    assert result.code == 0
    assert b"\x1b" not in result.out


def test_what_only_looks_encrypted_is_encrypted_and_what_is_so_in_part_is_reported(shell: Shell) -> None:
    data = sealed(shell)
    rules(shell, "^t/")
    shell.write("t/plain.json", '{"a": {"sops": {"lastmodified": "canary"}}}')
    value = next(line for line in data.decode().splitlines() if line.startswith("b: "))
    shell.write("t/part.yaml", data.decode().replace(value, "b: canary"))
    checked = shell.agent("encrypt", "--check", "t")
    assert checked.code == 1
    assert b"value is not encrypted, though the file's rule says so" in checked.out
    assert files_of(shell, "encrypt", "-i", "t") == {"t/part.yaml": "failed", "t/plain.json": "encrypted"}
    assert b"canary" not in checked.out + (shell.folder / "t/plain.json").read_bytes()


def test_a_check_asks_no_key(shell: Shell) -> None:
    shell.write(".sops.yaml", "creation_rules:\n  - hc_vault_transit_uri: https://127.0.0.1:1/v1/transit/keys/none\n")
    shell.write("t/s.yaml", PLAIN)
    assert shell.agent("encrypt", "--check", "t").code == 1
    assert files_of(shell, "encrypt", "--dry-run", "t/s.yaml") == {"t/s.yaml": "would be encrypted"}


def test_progress_is_shown_to_a_person_on_one_line_that_goes_away(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.write("t/1.yaml", sealed(shell))
    shell.write("t/2.yaml", sealed(shell))
    assert shell.agent("decrypt", "--dry-run", "t").err == ""
    monkeypatch.setattr(terminal, "is_tty", lambda stream="stdout": stream == "stderr")
    shown = shell.agent("decrypt", "--dry-run", "t").err
    assert shown == "\r\x1b[K1/2 t/1.yaml\r\x1b[K2/2 t/2.yaml\r\x1b[K"


def test_each_repository_goes_by_its_own_rules(shell: Shell) -> None:
    other = shell.agent("keygen", "-o", "other.txt").err.split()[-1]
    for name, key in (("one", shell.recipient), ("two", other)):
        shell.write(f"{name}/.sops.yaml", f"creation_rules:\n  - path_regex: ^secrets/\n    age: {key}\n")
        shell.write(f"{name}/secrets/s.yaml", PLAIN)
        shell.write(f"{name}/clear.yaml", PLAIN)
    assert files_of(shell, "encrypt", "-i", "one", "two") == {
        "one/secrets/s.yaml": "encrypted",
        "two/secrets/s.yaml": "encrypted",
    }
    assert shell.recipient in (shell.folder / "one/secrets/s.yaml").read_text()
    assert other in (shell.folder / "two/secrets/s.yaml").read_text()
    assert files_of(shell, "verify", "one", "two") == {"one/secrets/s.yaml": "sound", "two/secrets/s.yaml": "sound"}


def test_files_of_the_whole_family_take_a_tree(shell: Shell) -> None:
    rules(shell, "^t/")
    for number in range(2):
        shell.write(f"t/{number}.yaml", PLAIN)
    assert shell.agent("encrypt", "-i", "t").code == 0
    before = [(shell.folder / f"t/{number}.yaml").read_text() for number in range(2)]
    assert set(files_of(shell, "rotate", "-i", "t").values()) == {"rotated"}
    after = [(shell.folder / f"t/{number}.yaml").read_text() for number in range(2)]
    assert all(one != other for one, other in zip(before, after, strict=True))
    other = shell.agent("keygen", "-o", "other.txt").err.split()[-1]
    shell.write(".sops.yaml", f"creation_rules:\n  - age: {shell.recipient},{other}\n")
    assert shell.agent("verify", "t").code == 1
    assert set(files_of(shell, "updatekeys", "-y", "t").values()) == {"updated"}
    assert shell.agent("verify", "t").code == 0
    assert set(files_of(shell, "decrypt", "-i", "t").values()) == {"decrypted"}
    assert (shell.folder / "t/1.yaml").read_text() == PLAIN


def test_a_folder_holds_what_a_rule_for_its_path_takes_whatever_its_type(shell: Shell) -> None:
    rules(shell)
    for name in ("secrets/tls.pem", "secrets/.env.prod", "other/tls.pem"):
        shell.write(name, "canary\n")
    assert shell.agent("encrypt", "--check", ".").code == 1
    assert files_of(shell, "encrypt", "-i", ".") == {"secrets/.env.prod": "encrypted", "secrets/tls.pem": "encrypted"}
    assert shell.agent("encrypt", "--check", ".").code == 0
    assert shell.sops("decrypt", "secrets/tls.pem").out == b"canary\n"


def test_one_file_has_a_report_too_where_it_is_asked_for(shell: Shell) -> None:
    rules(shell)
    shell.write("secrets/a.yaml", PLAIN)
    done = shell.agent("encrypt", "-i", "-o", "json", "secrets/a.yaml")
    assert json.loads(done.out)["files"] == [{"file": "secrets/a.yaml", "result": "encrypted", "changed": True}]
