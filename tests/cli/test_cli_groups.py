"""`agent groups add|delete`, and files of several groups between the agent and sops."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from agent.adapters.keys import age
from agent.sops import stores
from agent.sops.files import decrypt
from agent.sops.format.keys import name_of
from agent.values.reveal import reveal

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell

PLAIN = "a: canary-one\nb: 2\n"
TWO, THREE = (age.generate() for _ in range(2))
KEYS = {"TWO": TWO, "THREE": THREE}


def metadata(path: Path) -> Any:
    return decrypt.read(path.read_bytes(), file=path.name, store=stores.of(path.name)).metadata.data_key


def groups(path: Path) -> tuple[int, list[list[str]]]:
    found = metadata(path)
    return found.threshold, [[name_of(each) for each in group] for group in found.recipients.groups]


@pytest.fixture
def file(shell: Shell) -> Path:
    made = shell.agent("encrypt", "--age", shell.recipient, "--filename-override", "s.yaml", stdin=PLAIN.encode())
    return shell.write("s.yaml", made.out)


def hold(shell: Shell, *names: str) -> None:
    identities = [str(reveal(KEYS[name][1])) if name in KEYS else shell.identity for name in names]
    shell.env("SOPS_AGE_KEY", "\n".join(identities))


STEPS: list[list[tuple[str, ...]]] = [
    [("add", "--age", "TWO")],
    [("add", "--age", "TWO", "--age", "THREE")],
    [("add", "--age", "TWO"), ("add", "--age", "THREE")],
    [("add", "--age", "TWO"), ("add", "--age", "THREE", "--shamir-secret-sharing-threshold", "2")],
    [("add", "--age", "TWO"), ("add", "--age", "THREE"), ("delete", "0")],
    [("add", "--age", "TWO"), ("delete", "1")],
    [("add", "--age", "TWO"), ("delete", "--shamir-secret-sharing-threshold", "1", "1")],
    [("add", "--age", "TWO"), ("add", "--age", "THREE", "--shamir-secret-sharing-threshold", "3"), ("delete", "2")],
    [("delete", "nonsense")],
    [("delete",)],
    [("add", "--age", "TWO", "extra")],
]


@pytest.mark.parametrize("steps", STEPS, ids=lambda steps: " / ".join(map(" ".join, steps)))
def test_groups_thresholds_and_exit_codes_are_those_of_sops(
    shell: Shell, file: Path, steps: list[tuple[str, ...]]
) -> None:
    theirs = shell.write("theirs.yaml", file.read_bytes())
    hold(shell, "OWN", "TWO", "THREE")
    for action, *rest in steps:
        arguments = [KEYS[each][0] if each in KEYS else each for each in rest]
        expected = shell.sops("groups", action, "-f", "theirs.yaml", "-i", *arguments)
        result = shell.agent("groups", action, "-f", "s.yaml", "-i", *arguments)
        assert result.code == expected.code, result.err
    assert groups(file)[1] == groups(theirs)[1]
    assert metadata(file).needed == metadata(theirs).needed
    assert shell.sops("decrypt", "s.yaml").code == 0
    assert shell.agent("decrypt", "theirs.yaml").code == 0


def test_values_mac_and_time_stay(shell: Shell, file: Path) -> None:
    before = file.read_text()
    shown = shell.agent("groups", "add", "-f", "s.yaml", "--age", TWO[0])
    assert shown.code == 0
    assert file.read_text() == before
    after = shown.out.decode()
    assert after.partition("\nsops:")[0] == before.partition("\nsops:")[0]
    for name in ("mac", "lastmodified", "version"):
        found = re.compile(rf"(?m)^ *{name}: .*$")
        assert found.findall(after) == found.findall(before)


def test_the_members_of_a_deleted_group_are_named(shell: Shell, file: Path) -> None:
    hold(shell, "OWN", "TWO")
    assert shell.agent("groups", "add", "-f", "s.yaml", "-i", "--age", TWO[0]).code == 0
    result = shell.agent("groups", "delete", "-f", "s.yaml", "-i", "--shamir-secret-sharing-threshold", "1", "1")
    assert result.code == 0
    assert f"who was removed may know it: age {TWO[0]}" in result.err


def test_what_makes_no_sense_writes_nothing(shell: Shell, file: Path) -> None:
    before = file.read_bytes()
    hold(shell, "OWN", "TWO")
    for call in (
        ("delete", "5"),
        ("delete", "0"),
        ("add",),
        ("add", "--age", "age1nonsense"),
        ("add", "--pgp", "85D77543B3D624B63CEA9E6DBC17301B491B3F21"),  # sops writes a key that holds nothing
        ("add", "--hc-vault-transit", "nonsense"),
        ("add", "--age", TWO[0], "--shamir-secret-sharing-threshold", "3"),
        ("add", "--age", TWO[0], "--shamir-secret-sharing-threshold", "-1"),
    ):
        result = shell.agent("groups", *call[:1], "-f", "s.yaml", "-i", *call[1:])
        assert result.code != 0, call
        assert "internal error" not in result.err
        assert file.read_bytes() == before
    missing = ("groups", "add", "-f", "none.yaml", "--age", TWO[0])
    assert shell.agent(*missing).code == shell.sops(*missing).code
    assert shell.agent("groups").code == 1


@pytest.mark.parametrize("threshold", [0, 2, 3])
@pytest.mark.parametrize("maker", ["agent", "sops"])
def test_as_many_groups_open_a_file_as_the_threshold_says(shell: Shell, maker: str, threshold: int) -> None:
    listed = [{"age": [key]} for key in (shell.recipient, TWO[0], THREE[0])]
    rule = {"key_groups": listed, "shamir_threshold": threshold}
    shell.write(".sops.yaml", json.dumps({"creation_rules": [rule]}))
    shell.write("plain.yaml", PLAIN)
    made = (shell.agent if maker == "agent" else shell.sops)("encrypt", "plain.yaml")
    assert made.code == 0, made.err
    shell.write("s.yaml", made.out)
    for count in range(1, 4):
        for held in itertools.combinations(("OWN", "TWO", "THREE"), count):
            hold(shell, *held)
            ours, theirs = shell.agent("decrypt", "s.yaml"), shell.sops("decrypt", "s.yaml")
            assert ours.code == theirs.code == (0 if count >= (threshold or 3) else 128)
            assert ours.out == theirs.out


def test_each_key_says_why_it_does_not_open(shell: Shell, file: Path) -> None:
    hold(shell, "OWN", "TWO")
    assert shell.agent("groups", "add", "-f", "s.yaml", "-i", "--age", TWO[0], "--age", THREE[0]).code == 0
    hold(shell, "OWN")
    for order in (("age,pgp",), ("pgp",), ("hc_vault,age",)):
        result = shell.agent("decrypt", "--decryption-order", *order, "s.yaml")
        assert result.code == 128
        assert "needed 2, opened 1" in result.err
        for key in (TWO[0], THREE[0]):
            assert re.search(rf"group 2, age {key}: [a-z]", result.err)
    assert shell.agent("groups", "delete", "-f", "s.yaml", "--decryption-order", "age,age", "1").code == 112
