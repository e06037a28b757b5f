"""What is found of an encrypted file without any key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.sops.files import decrypt, verify
from agent.sops.format.groups import Recipients
from agent.sops.format.keys import AgeRecipient, PgpRecipient
from agent.sops.format.selection import Selection
from agent.sops.rules import CreationRule
from agent.sops.stores import named

if TYPE_CHECKING:
    from conftest import Sops

PLAIN = b"a: canary-one\nb_clear: two\n# note\nc:\n    - 3\n    - d: canary\n"
RULE = {"unencrypted_suffix": "_clear"}


def found(data: bytes) -> verify.Findings:
    return verify.structure(decrypt.read(data, file="s.yaml", store=named("yaml")))


def errors_of(findings: verify.Findings) -> list[tuple[str, object]]:
    return [(error.message, error.facts.get("field", "")) for error in findings.errors]


@pytest.fixture(scope="module")
def sealed(sops: Sops) -> bytes:
    return sops.encrypt(PLAIN, "s.yaml", **RULE)


def test_a_file_of_sops_is_sound(sops: Sops, sealed: bytes) -> None:
    assert found(sealed) == verify.Findings()
    assert found(sops.encrypt(PLAIN, "s.yaml", mac_only_encrypted=True, encrypted_regex="^a$")) == verify.Findings()
    assert found(sops.encrypt(b'a: ""\nb: null\n', "s.yaml")) == verify.Findings()


def line_of(data: bytes, key: bytes) -> bytes:
    return next(line for line in data.splitlines() if line.lstrip(b"- ").startswith(key))


def test_every_kind_of_damage_is_reported_with_its_place_and_no_value(sealed: bytes) -> None:
    encrypted = line_of(sealed, b"a:")
    mac = line_of(sealed, b"mac:")
    cases: list[tuple[bytes, list[tuple[str, object]]]] = [
        (sealed.replace(encrypted, b"a: canary"), [("value is not encrypted, though the file's rule says so", "a")]),
        (sealed.replace(encrypted, b"a: ENC[AES256_GCM,data:x]"), [("an encrypted value is malformed", "a")]),
        (
            sealed.replace(encrypted, encrypted.replace(b"type:str", b"type:yaml")),
            [("an encrypted value is malformed", "a")],
        ),
        (
            sealed.replace(b"b_clear: two", b"b_clear: " + encrypted.removeprefix(b"a: ")),
            [("value is encrypted, though the file's rule leaves it clear", "b_clear")],
        ),
        (
            sealed.replace(b"b_clear:", b"b_cleat:"),
            [("value is not encrypted, though the file's rule says so", "b_cleat")],
        ),
        (sealed.replace(mac + b"\n", b""), [("the file has no MAC", "")]),
        (sealed.replace(mac, b"    mac: canary"), [("the file's MAC is malformed", "")]),
        (
            sealed.replace(b"unencrypted_suffix: _clear", b"encrypted_regex: (("),
            [("not a regular expression that RE2 takes", "")],
        ),
        (sealed + b"1: ENC[]\n", [("a key is not a string", "")]),
    ]
    for data, expected in cases:
        assert data != sealed
        findings = found(data)
        assert errors_of(findings) == expected
        assert all("canary" not in str(error) for error in findings.errors)


def test_a_comment_in_the_clear_is_a_warning(sealed: bytes) -> None:
    findings = found(b"# canary\n" + sealed)
    assert findings.errors == []
    assert [error.message for error in findings.warnings] == ["a comment is in the clear where comments are encrypted"]
    assert "canary" not in str(findings.warnings[0])


def grouped(*groups: str, threshold: int) -> bytes:
    entries = "".join(
        f"    - age: [{', '.join(f'{{recipient: {name}, enc: x}}' for name in group.split())}]\n" for group in groups
    )
    return (
        f"a: ''\nsops:\n  version: 3.13.3\n  lastmodified: '2026-01-01T00:00:00Z'\n  shamir_threshold: {threshold}\n"
        f"  mac: ENC[AES256_GCM,data:eA==,iv:eA==,tag:{'eHh4eHh4eHh4eHh4eHh4eA=='},type:str]\n  key_groups:\n{entries}"
    ).encode()


GROUPS = [
    (("x", "y"), 2, [], []),
    (("x", "y"), 0, [], []),
    (("x", "y"), 3, ["the threshold is higher than the number of key groups"], []),
    (("x", "y"), 1, ["a threshold needs more than one key group"], []),
    (("x", "", "y"), 3, ["key groups without keys leave too few to open the file"], []),
    (("x", "", "y"), 2, [], []),
    (("x", "x y"), 2, [], ["a key is in several key groups"]),
]


@pytest.mark.parametrize(("groups", "threshold", "errors", "warnings"), GROUPS)
def test_key_groups_that_make_no_sense(
    groups: tuple[str, ...], threshold: int, errors: list[str], warnings: list[str]
) -> None:
    findings = found(grouped(*groups, threshold=threshold))
    assert [error.message for error in findings.errors] == errors
    assert [error.message for error in findings.warnings] == warnings


A, B, C = AgeRecipient("age1a"), AgeRecipient("age1b"), PgpRecipient("FF")
DIFFERENCES = [
    (Recipients(((A, B),)), Recipients(((B, A),)), {}),
    (Recipients(((A,),)), Recipients(((A, C),)), {"missing": "pgp FF"}),
    (Recipients(((A, C),)), Recipients(((A,),)), {"extra": "pgp FF"}),
    (Recipients(((A,),)), Recipients(((B,),)), {"missing": "age age1b", "extra": "age age1a"}),
    (Recipients(((A,), (B,)), 2), Recipients(((A,), (B,))), {}),
    (Recipients(((A,), (B,)), 2), Recipients(((B,), (A,)), 2), {"groups": "differ"}),
    (Recipients(((A, B),)), Recipients(((B,), (A,)), 2), {"groups": "differ"}),
    (Recipients(((A,), (B,), (C,)), 2), Recipients(((A,), (B,), (C,)), 3), {"groups": "differ"}),
]


@pytest.mark.parametrize(("file", "rule", "difference"), DIFFERENCES)
def test_recipients_beside_those_of_the_rule(file: Recipients, rule: Recipients, difference: dict[str, str]) -> None:
    assert verify.differing(file, rule) == difference


def test_a_rule_that_would_encrypt_something_else_is_a_warning(sealed: bytes, sops: Sops) -> None:
    encrypted = decrypt.read(sealed, file="s.yaml", store=named("yaml"))
    same = Recipients.one_group(AgeRecipient(sops.recipient))
    for selection, warnings in [
        (Selection("unencrypted_suffix", "_clear"), 0),
        (Selection(), 0),
        (Selection("encrypted_regex", "^a$"), 1),
    ]:
        findings = verify.against_rule(encrypted, CreationRule(same, selection))
        assert (findings.errors, len(findings.warnings)) == ([], warnings)
    [error] = verify.against_rule(encrypted, CreationRule(Recipients.one_group(A), Selection())).errors
    assert error.facts == {"missing": "age age1a", "extra": f"age {sops.recipient}"}
