"""Where `.sops.yaml` is found, and what of it the command's flags and environment replace, as with sops."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.adapters.keys import age
from agent.sops.files import decrypt
from agent.sops.format.keys import name_of
from agent.sops.stores import named

if TYPE_CHECKING:
    from conftest import Shell

ONE, TWO = age.generate()[0], age.generate()[0]
PLAIN = "a: 1\nb_plain: 2\n"


def config(*rules: dict[str, Any]) -> str:
    return json.dumps({"creation_rules": rules})


def made_for(out: bytes) -> tuple[list[list[str]], int, str]:
    metadata = decrypt.read(out, file="s.yaml", store=named("yaml")).metadata
    groups = [[*dict.fromkeys(map(name_of, group))] for group in metadata.data_key.recipients.groups]
    return groups, metadata.data_key.needed, metadata.selection.selector


THREE_GROUPS = {"key_groups": [{"age": [ONE]}, {"age": [TWO]}, {"age": [ONE, TWO]}], "shamir_threshold": 2}
CALLS: list[tuple[dict[str, Any], tuple[str, ...], dict[str, str]]] = [
    (THREE_GROUPS, (), {}),
    (THREE_GROUPS, ("--shamir-secret-sharing-threshold", "3"), {}),
    (THREE_GROUPS, ("--shamir-secret-sharing-threshold", "1"), {}),
    (THREE_GROUPS, ("--shamir-secret-sharing-threshold", "4"), {}),
    (THREE_GROUPS, ("--shamir-secret-sharing-threshold", "x"), {}),
    (THREE_GROUPS, ("--age", TWO), {}),
    ({**THREE_GROUPS, "encrypted_suffix": "x"}, ("--age", f"{ONE},{TWO}"), {}),
    ({"age": ONE, "encrypted_suffix": "x"}, (), {"SOPS_AGE_RECIPIENTS": TWO}),
    ({"age": ONE, "encrypted_suffix": "x"}, ("--encrypted-suffix", "y"), {}),
    ({"age": ONE, "encrypted_suffix": "x"}, ("--encrypted-regex", "y"), {}),
    ({"age": ONE}, ("-a", TWO), {"SOPS_AGE_RECIPIENTS": ONE}),
    ({"path_regex": "none", "age": ONE}, ("-a", TWO), {}),
    ({"key_groups": [{"age": [ONE]}, {}]}, (), {}),
    ({"key_groups": [{}, {}]}, ("-a", TWO), {}),
    ({}, (), {}),
    ({"age": ONE}, ("--age", "age1nonsense"), {}),
    ({"age": ONE}, ("--azure-kv", "nonsense"), {}),
    ({"age": ONE}, (), {"SOPS_HUAWEICLOUD_KMS_IDS": "nonsense"}),
    ({"age": ONE}, (), {"SOPS_VAULT_URIS": "https://h/nonsense"}),
    ({"age": ONE}, ("--kms", "arn:aws:kms:x", "--encryption-context", "nonsense"), {}),
    ({"age": ONE}, ("--encryption-context", "a:b"), {}),
]


@pytest.mark.parametrize(("rule", "flags", "environment"), CALLS)
def test_flags_and_environment_beside_a_rule(
    shell: Shell, rule: dict[str, Any], flags: tuple[str, ...], environment: dict[str, str]
) -> None:
    shell.write(".sops.yaml", config(rule))
    shell.write("s.yaml", PLAIN)
    for name, value in environment.items():
        shell.env(name, value)
    theirs, ours = shell.sops("encrypt", *flags, "s.yaml"), shell.agent("encrypt", *flags, "s.yaml")
    assert ours.code == theirs.code, ours.err
    if ours.code == 0:
        assert made_for(ours.out) == made_for(theirs.out)


KEYS = st.lists(st.sampled_from([ONE, TWO, f"{ONE}, {TWO}"]), max_size=2)
MADE_RULES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "path_regex": st.sampled_from(
                ["", "prod", "^s", r"\.yaml$", "(?i)PROD/", "^/", "[", "x{1001}", r"\pL+", "a*?$"]
            ),
            "age": KEYS | KEYS.map(",".join),
            "key_groups": st.lists(st.fixed_dictionaries({}, optional={"age": KEYS}), max_size=3),
            "shamir_threshold": st.sampled_from([0, 0, 1, 2, 3]),
            "encrypted_regex": st.sampled_from(["", "a", "^none$"]),
            "unencrypted_suffix": st.sampled_from(["", "_plain"]),
            "encrypted_comment_regex": st.sampled_from(["", "x"]),
            "mac_only_encrypted": st.booleans(),
        },
    ),
    max_size=3,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MADE_RULES, st.sampled_from(["s.yaml", "prod/s.yaml"]), st.sampled_from([(), ("--age", TWO)]))
def test_whatever_rules_make_the_file_that_sops_makes(
    shell: Shell, rules: list[dict[str, Any]], file: str, flags: tuple[str, ...]
) -> None:
    shell.write(".sops.yaml", config(*rules))
    shell.write(file, PLAIN)
    theirs, ours = shell.sops("encrypt", *flags, file), shell.agent("encrypt", *flags, file)
    assert ours.code == theirs.code, (ours.err, theirs.err)
    if ours.code == 0:
        assert made_for(ours.out) == made_for(theirs.out)


@pytest.mark.parametrize(
    ("files", "start", "file"),
    [
        ({".sops.yaml": ONE}, ".", "s.yaml"),
        ({".sops.yaml": ONE, "a/.sops.yaml": TWO}, ".", "a/s.yaml"),
        ({".sops.yaml": ONE, "a/.sops.yaml": TWO}, "a", "s.yaml"),
        ({".sops.yaml": ONE}, "a/b", "s.yaml"),
        ({".sops.yaml": ONE, "a/.sops.yaml": TWO}, "a/b", "../../s.yaml"),
        ({".sops.yml": ONE}, ".", "s.yaml"),
        ({".sops.yaml": ONE, "a/.sops.yml": TWO}, "a", "s.yaml"),
    ],
)
def test_the_next_rules_from_the_working_directory_upwards(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], start: str, file: str
) -> None:
    for name, key in files.items():
        shell.write(name, config({"age": key}))
    folder = shell.folder / start
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(PLAIN)
    monkeypatch.chdir(folder)
    path = str((folder / file).resolve().relative_to(shell.folder.resolve()))
    theirs = shell.sops_in(folder, "encrypt", file)
    ours = shell.agent("encrypt", file)
    assert ours.code == theirs.code, (path, ours.err)
    if ours.code == 0:
        assert made_for(ours.out) == made_for(theirs.out)
    assert ("must be called .sops.yaml" in ours.err) is ("must be called" in theirs.err)


def test_where_there_are_none_those_of_the_file_s_folder(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "deep").mkdir()
    (other / ".sops.yaml").write_text(config({"path_regex": "^deep/", "age": ONE}))
    for name in ("deep/s.yaml", "s.yaml"):
        (other / name).write_text(PLAIN)
    ours = shell.agent("encrypt", str(other / "deep/s.yaml"))
    assert made_for(ours.out)[0] == [[ONE]]
    assert shell.agent("encrypt", str(other / "s.yaml")).code == 1
    # Never the other way round.
    shell.write(".sops.yaml", config({"age": TWO}))
    assert made_for(shell.agent("encrypt", str(other / "deep/s.yaml")).out)[0] == [[TWO]]


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_named_rules_take_the_place_of_all_others(shell: Shell, how: str) -> None:
    shell.write(".sops.yaml", config({"age": ONE}))
    shell.write("conf/rules.yaml", config({"path_regex": "^s", "age": ONE}, {"age": TWO}))
    shell.write("s.yaml", PLAIN)
    flags = ["--config", "conf/rules.yaml"] if how == "flag" else []
    if how == "environment":
        shell.env("SOPS_CONFIG", "conf/rules.yaml")
    # A path outside the folder of the rules is seen whole.
    assert made_for(shell.agent("encrypt", *flags, "s.yaml").out) == made_for(
        shell.sops(*flags, "encrypt", "s.yaml").out
    )
    assert made_for(shell.agent(*flags, "encrypt", "s.yaml").out)[0] == [[TWO]]


@pytest.mark.parametrize("text", ["a: [", "creation_rules: 1", "creation_rules: [{shamir_threshold: x}]", None])
def test_rules_that_cannot_be_read_have_the_exit_code_of_sops(shell: Shell, text: str | None) -> None:
    if text is not None:
        shell.write("rules.yaml", text)
    shell.write("s.yaml", PLAIN)
    arguments = ("--age", ONE, "s.yaml")
    theirs = shell.sops("--config", "rules.yaml", "encrypt", *arguments)
    ours = shell.agent("encrypt", "--config", "rules.yaml", *arguments)
    assert ours.code == theirs.code == 1
    assert "rules.yaml" in ours.err


def test_hostile_text_of_the_rules_moves_no_cursor(shell: Shell) -> None:
    shell.write("s.yaml", PLAIN)
    for rule in ({"azure_keyvault": "x\x1b[2J"}, {"path_regex": "(\x1b[2J"}, {"age": "age1\x1b[2J\u202e"}):
        shell.write(".sops.yaml", config(rule))
        result = shell.agent("encrypt", "s.yaml")
        assert result.code == 1
        assert "\x1b" not in result.err
        assert "\u202e" not in result.err
