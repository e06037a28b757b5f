"""`agent rotate`: a new data key every time, for whom the flags say, and what sops makes of the same calls."""

from __future__ import annotations

import re
import stat
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

PLAIN = "# note\na: canary-one\n\nb:   'two'   # behind\nc:\n- 3\n-  four\n"
TWO, THREE = (age.generate() for _ in range(2))
KEYS = {"TWO": TWO[0], "THREE": THREE[0], "CHANGED": f"{TWO[0]}, {THREE[0]}"}


def metadata(path: Path) -> Any:
    return decrypt.read(path.read_bytes(), file=path.name, store=stores.of(path.name)).metadata


def groups(path: Path) -> list[list[str]]:
    return [sorted(map(name_of, group)) for group in metadata(path).data_key.recipients.groups]


def encrypted_values(text: str) -> set[str]:
    """Whole, with the nonce: of a value of one byte the ciphertext alone is the same once in 256 times."""
    return set(re.findall(r"ENC\[[^]]*\]", text))


@pytest.fixture
def file(shell: Shell) -> Path:
    made = shell.agent("encrypt", "--age", shell.recipient, "--filename-override", "s.yaml", stdin=PLAIN.encode())
    return shell.write("s.yaml", made.out)


def test_every_value_is_new_and_the_plaintext_the_same(shell: Shell, file: Path) -> None:
    file.chmod(0o640)
    before = file.read_text()
    plain = shell.sops("decrypt", "s.yaml").out
    assert shell.agent("rotate", "-i", "s.yaml").code == 0
    after = file.read_text()
    assert not encrypted_values(before) & encrypted_values(after)
    assert shell.sops("decrypt", "s.yaml").out == plain
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_the_result_goes_where_the_flags_say(shell: Shell, file: Path) -> None:
    before = file.read_bytes()
    shown = shell.agent("rotate", "s.yaml")
    assert shown.code == 0
    assert shell.agent("rotate", "--output", "t.yaml", "s.yaml").out == b""
    assert file.read_bytes() == before
    shell.write("u.yaml", shown.out)
    assert shell.sops("decrypt", "u.yaml").out == shell.sops("decrypt", "t.yaml").out
    shell.write("v.json", shell.agent("rotate", "--output-type", "json", "s.yaml").out)
    assert b'"canary-one"' in shell.sops("decrypt", "v.json").out


def test_formatting_stays(shell: Shell, file: Path) -> None:
    def layout(text: str) -> str:
        return re.sub(r"ENC\[[^]]*\]", "ENC", text.partition("\nsops:")[0])

    before = layout(file.read_text())
    assert "\n\nb:   'ENC'" in before
    assert shell.agent("rotate", "-i", "s.yaml").code == 0
    assert layout(file.read_text()) == before
    shell.write("theirs.yaml", file.read_bytes())
    made = shell.agent("rotate", "--sops-format", "s.yaml").out.decode()
    assert layout(made) == layout(shell.sops("rotate", "theirs.yaml").out.decode())


CALLS: list[tuple[str, ...]] = [
    (),
    ("--add-age", "TWO"),
    ("--add-age", "CHANGED"),
    ("--add-age", "TWO", "--rm-age", "TWO"),
    ("--rm-age", "THREE"),
    ("--add-age", "TWO", "--rm-age", "OWN"),
    ("--rm-age", "OWN"),
    ("--add-age", "age1nonsense"),
    ("--add-age", "TWO,"),
    ("--rm-age", "age1nonsense"),
    ("--add-hckms", "nonsense"),
    ("--rm-azure-kv", "nonsense"),
    ("--add-hc-vault-transit", "nonsense"),
    ("--rm-hc-vault-transit", "https://h/v1/transit/keys/a"),
    ("--rm-pgp", "85D7 7543", "--rm-kms", "arn:x", "--rm-gcp-kms", "x", "--rm-hckms", "a:b"),
    ("--in-place", "--output", "x.yaml"),
    ("--decryption-order", "age,age"),
    ("--no-such-flag",),
]


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_keys_and_exit_codes_are_those_of_sops(shell: Shell, file: Path, call: tuple[str, ...]) -> None:
    arguments = [KEYS.get(each, shell.recipient if each == "OWN" else each) for each in call]
    theirs = shell.sops("rotate", *arguments, "s.yaml")
    ours = shell.agent("rotate", *arguments, "s.yaml")
    assert ours.code == theirs.code, ours.err
    if ours.code == 0:
        assert groups(shell.write("ours.yaml", ours.out)) == groups(shell.write("theirs.yaml", theirs.out))
        opened_by_others = shell.recipient in arguments
        assert (shell.agent("decrypt", "theirs.yaml").code == 0) is not opened_by_others
        assert (shell.sops("decrypt", "ours.yaml").code == 0) is not opened_by_others
    else:
        assert ours.out == b""


@pytest.mark.parametrize("call", [(), ("--add-age", "TWO"), ("--rm-pgp", "A")], ids=" ".join)
def test_a_missing_file_has_the_exit_code_of_sops(shell: Shell, call: tuple[str, ...]) -> None:
    arguments = [KEYS.get(each, each) for each in call]
    assert shell.agent("rotate", *arguments, "none.yaml").code == shell.sops("rotate", *arguments, "none.yaml").code
    assert shell.agent("rotate").code == shell.sops("rotate").code == 100


def test_the_form_without_a_command(shell: Shell, file: Path) -> None:
    shell.write("theirs.yaml", file.read_bytes())
    for run, name in ((shell.agent, "s.yaml"), (shell.sops, "theirs.yaml")):
        assert run("-r", "-i", "--add-age", TWO[0], name).code == 0
    assert groups(file) == groups(shell.folder / "theirs.yaml") == [sorted([shell.recipient, TWO[0]])]
    arguments = ("-r", "-i", "--rm-age", TWO[0], "none.yaml")
    assert shell.agent(*arguments).code == shell.sops(*arguments).code == 49


def test_who_was_removed_opens_nothing_any_more(shell: Shell, file: Path) -> None:
    assert shell.agent("rotate", "-i", "--add-age", TWO[0], "s.yaml").code == 0
    shell.env("SOPS_AGE_KEY", str(reveal(TWO[1])))
    assert shell.sops("decrypt", "s.yaml").code == 0
    assert shell.agent("rotate", "-i", "--rm-age", shell.recipient, "s.yaml").code == 0
    shell.env("SOPS_AGE_KEY", shell.identity)
    assert shell.agent("decrypt", "s.yaml").code == 128
    assert shell.sops("decrypt", "s.yaml").code == 128


def test_an_altered_file_is_not_rotated_unasked(shell: Shell, file: Path) -> None:
    file.write_text(re.sub(r"(?m)^a: .*\n", "", file.read_text()))
    before = file.read_bytes()
    assert shell.agent("rotate", "-i", "s.yaml").code == 51
    assert file.read_bytes() == before
    assert shell.agent("rotate", "-i", "--ignore-mac", "s.yaml").code == 0
    assert b"canary" not in shell.sops("decrypt", "s.yaml").out


def test_groups_and_threshold_stay_and_the_added_key_is_of_the_first(shell: Shell) -> None:
    shell.write(
        ".sops.yaml",
        f"creation_rules: [{{shamir_threshold: 2, key_groups: [{{age: [{shell.recipient}]}}, {{age: [{TWO[0]}]}}, {{age: [{THREE[0]}]}}]}}]\n",
    )
    shell.write("plain.yaml", PLAIN)
    for name, encrypt in (("ours.yaml", shell.agent), ("theirs.yaml", shell.sops)):
        shell.write(name, encrypt("encrypt", "plain.yaml").out)
    shell.env("SOPS_AGE_KEY", f"{shell.identity}\n{reveal(THREE[1])}")
    for name in ("ours.yaml", "theirs.yaml"):
        assert shell.agent("rotate", "-i", "--add-age", TWO[0], name).code == 0
        assert groups(shell.folder / name) == [sorted([shell.recipient, TWO[0]]), [TWO[0]], [THREE[0]]]
        assert metadata(shell.folder / name).data_key.threshold == 2
        assert shell.sops("decrypt", name).code == 0
    shell.env("SOPS_AGE_KEY", str(reveal(TWO[1])))
    assert shell.sops("decrypt", "ours.yaml").code == 0
    # An emptied group is no group that anybody could open.
    assert (
        shell.agent("rotate", "-i", "--rm-age", THREE[0], "ours.yaml").code
        == shell.sops("rotate", "-i", "--rm-age", THREE[0], "ours.yaml").code
    )


def test_a_tree_is_rotated_file_by_file_with_a_data_key_each(shell: Shell, file: Path) -> None:
    shell.write("more/t.yaml", file.read_bytes())
    shell.write("more/plain.yaml", PLAIN)
    broken = shell.write("more/u.yaml", file.read_text().replace("type:str", "type:int", 1))
    before = broken.read_bytes()
    result = shell.agent("rotate", "-i", "s.yaml", "more")
    assert result.code == 25
    assert result.out.decode().count("rotated") == 3
    assert broken.read_bytes() == before
    assert shell.sops("decrypt", "more/t.yaml").out == shell.sops("decrypt", "s.yaml").out
    assert not encrypted_values(file.read_text()) & encrypted_values((shell.folder / "more/t.yaml").read_text())
    assert not set(metadata(file).data_key.keys) & set(metadata(shell.folder / "more/t.yaml").data_key.keys)
