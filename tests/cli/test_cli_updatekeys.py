"""`agent updatekeys`: the keys of the rules, as sops sees them, and not a byte else."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from agent.adapters.keys import age
from agent.sops import stores
from agent.sops.files import decrypt
from agent.sops.format.keys import name_of
from agent.values.reveal import reveal
from testbed import binaries

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell

PLAIN = "a: canary-one\n\nb:   'two'   # behind\nc:\n- 3\n"
TWO, THREE = (age.generate() for _ in range(2))


def rules(shell: Shell, *groups: str, **rule: object) -> None:
    """`OWN` and names of keys, with commas, for each group."""
    keys = {"OWN": shell.recipient, "TWO": TWO[0], "THREE": THREE[0]}
    listed: list[Any] = [{"age": [keys.get(name, name) for name in group.split(",")]} for group in groups]
    shell.write(".sops.yaml", json.dumps({"creation_rules": [{"key_groups": listed, **rule}]}))


def metadata(shell: Shell, name: str = "s.yaml") -> Any:
    path = shell.folder / name
    return decrypt.read(path.read_bytes(), file=name, store=stores.of(name)).metadata


def groups(shell: Shell, name: str = "s.yaml") -> list[list[str]]:
    return [[name_of(each) for each in group] for group in metadata(shell, name).data_key.recipients.groups]


@pytest.fixture
def file(shell: Shell) -> Path:
    rules(shell, "OWN")
    made = shell.agent("encrypt", "--filename-override", "s.yaml", stdin=PLAIN.encode())
    return shell.write("s.yaml", made.out.replace(b"\nb:", b"\n\n# by hand\nb:"))


def without_entry(text: str) -> str:
    return text.partition("\nsops:")[0]


def encrypted_values(text: str) -> set[str]:
    """Whole, with the nonce: of a value of one byte the ciphertext alone is the same once in 256 times."""
    return set(re.findall(r"ENC\[[^]]*\]", without_entry(text)))


def test_the_keys_change_and_nothing_else(shell: Shell, file: Path) -> None:
    before, old = file.read_text(), metadata(shell)
    rules(shell, "OWN,TWO")
    result = shell.agent("updatekeys", "-y", "s.yaml")
    assert result.code == 0, result.err
    after, new = file.read_text(), metadata(shell)
    assert without_entry(after) == without_entry(before)
    assert groups(shell) == [[shell.recipient, TWO[0]]]
    assert (new.mac, new.lastmodified, new.version) == (old.mac, old.lastmodified, old.version)
    assert new.data_key.keys[0] == old.data_key.keys[0]
    assert shell.sops("decrypt", "s.yaml").code == 0
    shell.env("SOPS_AGE_KEY", str(reveal(TWO[1])))
    assert shell.sops("decrypt", "s.yaml").code == 0


def test_what_is_as_it_should_be_stays(shell: Shell, file: Path) -> None:
    before = file.stat()
    shell.env("SOPS_AGE_KEY", None)
    result = shell.agent("updatekeys", "s.yaml")
    assert (result.code, result.out) == (0, b"")
    assert "already up to date" in result.err
    assert file.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("wanted", "rule"),
    [
        (["TWO,OWN"], {}),
        (["TWO"], {}),
        (["OWN", "TWO"], {}),
        (["OWN", "TWO,OWN", "THREE"], {}),
        (["TWO", "OWN,THREE"], {}),
        (["age1nonsense"], {}),
        (["OWN"], {"path_regex": "none"}),
    ],
)
def test_it_tells_and_does_what_sops_does(shell: Shell, file: Path, wanted: list[str], rule: dict[str, str]) -> None:
    shell.write("theirs/s.yaml", file.read_bytes())
    rules(shell, *wanted, **rule)
    theirs = shell.sops("updatekeys", "-y", "theirs/s.yaml")
    ours = shell.agent("updatekeys", "-y", "s.yaml")
    assert ours.code == theirs.code, ours.err
    shown = re.sub(r"\+\+\+ shamir_threshold: [0-9]\n", "", ours.out.decode())
    if ours.code == 0:
        assert groups(shell) == groups(shell, "theirs/s.yaml")
        assert metadata(shell).data_key.threshold == metadata(shell, "theirs/s.yaml").data_key.threshold
        assert shown == theirs.out.decode()
        assert shell.sops("decrypt", "s.yaml").code == shell.sops("decrypt", "theirs/s.yaml").code
    else:
        assert file.read_bytes() == (shell.folder / "theirs/s.yaml").read_bytes()


def test_the_entry_is_laid_out_as_by_sops_in_every_document(shell: Shell) -> None:
    def layout(text: str) -> str:
        return re.sub(r"(?m)^( *)[A-Za-z0-9+/=]{20,}$", r"\1", text.partition("\nsops:")[2])

    rules(shell, "OWN")
    shell.write("plain.yaml", "a: 1\n---\nb: 2\n")
    for path in ("s.yaml", "t.yaml"):
        shell.write(path, shell.sops("encrypt", "plain.yaml").out)
    rules(shell, "THREE,OWN", "TWO,OWN")
    assert shell.agent("updatekeys", "-y", "s.yaml").code == shell.sops("updatekeys", "-y", "t.yaml").code == 0
    ours, theirs = (layout((shell.folder / name).read_text()) for name in ("s.yaml", "t.yaml"))
    hide = re.compile(r"ENC\[[^]]*\]|lastmodified: .*")
    assert hide.sub("", ours) == hide.sub("", theirs)


@pytest.mark.parametrize("answer", ["y", "n", "x\nn", "", "x"])
def test_it_asks(shell: Shell, file: Path, answer: str) -> None:
    before = file.read_bytes()
    rules(shell, "OWN,TWO")
    ours = shell.agent("updatekeys", "s.yaml", stdin=f"{answer}\n".encode() if answer else b"")
    changed = file.read_bytes() != before
    file.write_bytes(before)
    theirs = subprocess.run(
        [binaries.path("sops"), "--disable-version-check", "updatekeys", "s.yaml"],
        cwd=shell.folder,
        input=f"{answer}\n".encode() if answer else b"",
        capture_output=True,
        check=False,
    )
    assert (ours.code, changed) == (theirs.returncode, file.read_bytes() != before)
    assert ours.out == theirs.stdout


def test_a_removed_recipient_is_named_until_there_is_a_new_data_key(shell: Shell, file: Path) -> None:
    rules(shell, "OWN,TWO")
    assert "who was removed" not in shell.agent("updatekeys", "-y", "s.yaml").err
    before = file.read_bytes()
    rules(shell, "OWN")
    result = shell.agent("updatekeys", "-y", "s.yaml")
    assert f"who was removed may know it: age {TWO[0]}" in result.err
    assert without_entry(file.read_text()) == without_entry(before.decode())
    file.write_bytes(before)
    old = metadata(shell)
    result = shell.agent("updatekeys", "-y", "--rotate", "s.yaml")
    assert result.code == 0
    assert "who was removed" not in result.err
    assert metadata(shell).mac != old.mac
    assert not encrypted_values(file.read_text()) & encrypted_values(before.decode())
    assert b"canary-one" in shell.sops("decrypt", "s.yaml").out


def test_who_comes_needs_no_new_data_key(shell: Shell, file: Path) -> None:
    before = without_entry(file.read_text())
    rules(shell, "OWN,TWO")
    assert shell.agent("updatekeys", "-y", "--rotate", "s.yaml").code == 0
    assert without_entry(file.read_text()) == before


def test_the_threshold_is_the_rule_s_then_the_file_s(shell: Shell, file: Path) -> None:
    rules(shell, "OWN", "TWO", "THREE", shamir_threshold=2)
    assert shell.agent("updatekeys", "-y", "s.yaml").code == 0
    assert metadata(shell).data_key.threshold == 2
    shell.env("SOPS_AGE_KEY", f"{shell.identity}\n{reveal(THREE[1])}")
    assert shell.sops("decrypt", "s.yaml").code == 0
    rules(shell, "OWN", "TWO", "THREE")
    assert "already up to date" in shell.agent("updatekeys", "-y", "s.yaml").err
    rules(shell, "OWN", "TWO", "THREE", shamir_threshold=3)
    assert shell.agent("updatekeys", "-y", "s.yaml").code == 0
    assert metadata(shell).data_key.threshold == 3
    shell.env("SOPS_AGE_KEY", f"{shell.identity}\n{reveal(THREE[1])}\n{reveal(TWO[1])}")
    assert shell.agent("updatekeys", "-y", "--shamir-secret-sharing-threshold", "2", "s.yaml").code == 0
    assert metadata(shell).data_key.threshold == 2
    assert shell.agent("updatekeys", "-y", "--shamir-secret-sharing-threshold", "4", "s.yaml").code == 1


def test_what_cannot_be_opened_stays(shell: Shell, file: Path) -> None:
    before = file.read_bytes()
    rules(shell, "OWN,TWO")
    shell.env("SOPS_AGE_KEY", str(reveal(THREE[1])))
    result = shell.agent("updatekeys", "-y", "s.yaml")
    assert result.code == shell.sops("updatekeys", "-y", "s.yaml").code == 128
    assert "none of the age identities" in result.err
    assert file.read_bytes() == before


def test_without_rules_a_file_or_metadata_the_exit_code_is_that_of_sops(shell: Shell, file: Path) -> None:
    shell.write("plain.yaml", PLAIN)
    shell.write("broken.yaml", "a: [")
    (shell.folder / "folder.yaml").mkdir()
    for call in ((), ("none.yaml",), ("plain.yaml",), ("-y", "none.yaml", "s.yaml")):
        assert shell.agent("updatekeys", *call).code == shell.sops("updatekeys", *call).code, call
    shell.write(".sops.yaml", "creation_rules:\n")
    assert shell.agent("updatekeys", "s.yaml").code == shell.sops("updatekeys", "s.yaml").code
    (shell.folder / ".sops.yaml").unlink()
    assert shell.agent("updatekeys", "s.yaml").code == shell.sops("updatekeys", "s.yaml").code


def test_an_empty_group_is_refused(shell: Shell, file: Path) -> None:
    rules(shell, "OWN,TWO", "")
    result = shell.agent("updatekeys", "-y", "s.yaml")
    assert result.code == shell.sops("updatekeys", "-y", "s.yaml").code == 1
    assert "a key group is empty" in result.err


def test_check_tells_without_any_key(shell: Shell, file: Path) -> None:
    shell.write("in/step.yaml", file.read_bytes())
    rules(shell, "OWN,TWO")
    before = file.read_bytes()
    shell.env("SOPS_AGE_KEY", None)
    result = shell.agent("updatekeys", "--check", "-o", "json", ".")
    assert result.code == 1
    assert [each["result"] for each in json.loads(result.out)["files"]] == ["would be updated"] * 2
    assert file.read_bytes() == before
    rules(shell, "OWN")
    assert shell.agent("updatekeys", "--check", ".").code == 0


def test_a_tree_goes_on_after_a_failure(shell: Shell, file: Path) -> None:
    shell.write("more/a.yaml", file.read_bytes())
    shell.write("more/b.yaml", file.read_bytes().replace(b"AGE ENCRYPTED FILE", b"AGE SOMETHING ELSE"))
    shell.write("more/plain.yaml", PLAIN)
    rules(shell, "TWO,OWN")
    result = shell.agent("updatekeys", "-y", "s.yaml", "more")
    assert result.code == 1
    assert groups(shell) == groups(shell, "more/a.yaml") == [[TWO[0], shell.recipient]]
    assert shell.agent("updatekeys", "-o", "json", "s.yaml", "more").code == 8
    assert groups(shell, "more/b.yaml") == [[shell.recipient]]


@pytest.mark.parametrize("name", ["s.json", "s.env", "s.ini", "s.txt"])
def test_files_of_every_type(shell: Shell, name: str) -> None:
    rules(shell, "OWN")
    plain = {"s.json": '{"a": 1}', "s.env": "A=1\n", "s.ini": "[s]\na = 1\n", "s.txt": "text"}[name]
    shell.write(name, shell.agent("encrypt", "--filename-override", name, stdin=plain.encode()).out)
    before = shell.sops("decrypt", name)
    rules(shell, "OWN,TWO")
    assert shell.agent("updatekeys", "-y", name).code == 0
    assert groups(shell, name) == [[shell.recipient, TWO[0]]]
    assert shell.sops("decrypt", name) == before


def test_a_wrapped_key_that_was_only_kept_opens_nothing(shell: Shell) -> None:
    """What stands in the metadata of one file is its author's word: copied into another one, it is not that one's data key."""
    shell.write(".sops.yaml", f"creation_rules:\n  - path_regex: ^a/\n    age: {shell.recipient},{TWO[0]},{THREE[0]}\n"
                f"  - path_regex: ^b/\n    age: {shell.recipient},{TWO[0]}\n")  # fmt: skip
    shell.write("a/s.yaml", "password: canary-root\n")
    shell.write("b/s.yaml", "x: one\n")
    for name in ("a/s.yaml", "b/s.yaml"):
        assert shell.agent("encrypt", "-i", "--fresh", name).code == 0
    entries: dict[str, dict[str, str]] = {}
    for name in ("a/s.yaml", "b/s.yaml"):
        found = re.findall(r" +- enc: \|\n(?: {12}.*\n)+? +recipient: .*\n", (shell.folder / name).read_text())
        entries[name] = {each.split("recipient: ")[1].strip(): each for each in found}
    forged = f"        - enc: FORGED\n          recipient: {THREE[0]}\n"
    text = (shell.folder / "a/s.yaml").read_text()
    shell.write(
        "a/s.yaml", text.replace(entries["a/s.yaml"][THREE[0]], forged).replace(entries["a/s.yaml"][TWO[0]], "")
    )
    text = (shell.folder / "b/s.yaml").read_text()
    shell.write("b/s.yaml", text.replace(entries["b/s.yaml"][TWO[0]], forged))
    assert shell.agent("updatekeys", "-y", "a", "b").code == 0
    assert shell.agent("decrypt", "b/s.yaml").out == b"x: one\n"
    shell.env("SOPS_AGE_KEY", reveal(TWO[1]))
    assert shell.agent("decrypt", "b/s.yaml").out == b"x: one\n"
    assert shell.sops("decrypt", "b/s.yaml").code == 0
