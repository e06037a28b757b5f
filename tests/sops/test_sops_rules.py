"""`.sops.yaml` chooses what sops would choose."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from agent.adapters.keys import age
from agent.sops import decrypt, rules, stores
from agent.sops.groups import Recipients
from agent.sops.keys import AgeRecipient, PgpRecipient, TransitRecipient, name_of
from agent.sops.selection import Selection
from agent.values.errors import AgentError, SopsRulesError, YamlError

if TYPE_CHECKING:
    from conftest import Sops

ONE, TWO = age.generate()[0], age.generate()[0]

CONFIGS: dict[str, dict[str, Any]] = {
    "first match": {"creation_rules": [{"path_regex": "prod/.*", "age": ONE}, {"path_regex": ".yaml$", "age": TWO}]},
    "unanchored": {"creation_rules": [{"path_regex": "rod", "age": ONE}, {"age": TWO}]},
    "no regex": {"creation_rules": [{"age": f"{ONE}, {TWO},"}]},
    "list": {"creation_rules": [{"age": [TWO, ONE, TWO]}]},
    "group": {"creation_rules": [{"age": ONE, "key_groups": [{"merge": [{"age": [TWO]}], "age": [ONE, TWO]}]}]},
    "selector": {"creation_rules": [{"age": ONE, "encrypted_regex": "^x$", "mac_only_encrypted": True}]},
    "suffix": {"creation_rules": [{"age": ONE, "unencrypted_suffix": "_plain"}]},
    "two selectors": {"creation_rules": [{"age": ONE, "encrypted_regex": "x", "encrypted_suffix": "y"}]},
    "no match": {"creation_rules": [{"path_regex": "^other", "age": ONE}]},
    "bad regex": {"creation_rules": [{"path_regex": "(", "age": ONE}]},
    "look ahead": {"creation_rules": [{"path_regex": "(?=a)", "age": ONE}]},
    "bad key": {"creation_rules": [{"age": [1]}]},
    "no list": {"creation_rules": {"age": ONE}},
}


@pytest.mark.parametrize("path", ["prod/db.yaml", "dev/db.yaml"])
@pytest.mark.parametrize("config", CONFIGS)
def test_recipients_and_selection_are_those_of_sops(sops: Sops, config: str, path: str) -> None:
    text = json.dumps(CONFIGS[config]).encode()
    (sops.folder / ".sops.yaml").write_bytes(text)
    try:
        done = sops.run("encrypt", name=path, data=b"x: 1\ny: 2\n")
    finally:
        (sops.folder / ".sops.yaml").unlink()
    if done.returncode != 0:
        with pytest.raises(AgentError):
            rules.parse(text, file=".sops.yaml").match(path)
        return
    theirs = decrypt.read(done.stdout, file=path, store=stores.Store.YAML).metadata
    rule = rules.parse(text, file=".sops.yaml").match(path)
    assert rule is not None
    assert [name_of(each) for group in rule.recipients.groups for each in group] == [
        *dict.fromkeys(map(name_of, theirs.data_key.keys))
    ]
    assert rule.selection == theirs.selection


def test_kinds_of_keys_anchors_and_indents() -> None:
    text = f"""
keys:
  - &one {ONE}
rule: &rule
  age: *one
  encrypted_regex: ^data$
creation_rules:
  - <<: *rule
    path_regex: a
    pgp: AAAA BBBB CCCC DDDD, 0123456789ABCDEF!
    hc_vault_transit_uri: https://vault.example.org:8200/v1/team/transit/keys/app
stores:
  yaml: {{indent: 2}}
  json: {{indent: 4}}
"""
    config = rules.parse(text.encode(), file=".sops.yaml")
    rule = config.match("a")
    assert rule == rules.CreationRule(
        Recipients.one_group(
            AgeRecipient(ONE),
            PgpRecipient("AAAABBBBCCCCDDDD"),
            PgpRecipient("0123456789ABCDEF!"),
            TransitRecipient("https://vault.example.org:8200", "team/transit", "app"),
        ),
        Selection("encrypted_regex", "^data$"),
    )
    assert (config.yaml_indent, config.json_indent) == (2, 4)


@pytest.mark.parametrize("text", [b"", b"destination_rules: []\n", b"creation_rules:\n"])
def test_a_file_without_rules_is_as_none(text: bytes) -> None:
    assert rules.parse(text, file=".sops.yaml").match("a") is None


@pytest.mark.parametrize(
    "rule",
    [
        {"kms": "arn:aws:kms:eu-west-1:1:key/x"},
        {"age": ONE, "gcp_kms": ["projects/x"]},
        {"key_groups": [{"age": [ONE]}, {"age": [TWO]}]},
        {"hc_vault_transit_uri": "vault.example.org/transit"},
        {"hc_vault_transit_uri": "https://user@vault.example.org/v1/transit/keys/a"},
        {"hc_vault_transit_uri": "https://vault.example.org/v1/../keys/a"},
        {"age": {"a": 1}},
        {"age": ONE, "mac_only_encrypted": "maybe"},
        {"age": ONE, "encrypted_regex": 5},
    ],
)
def test_what_is_not_supported_is_refused_not_left_out(rule: dict[str, Any]) -> None:
    config = rules.parse(json.dumps({"creation_rules": [rule]}).encode(), file=".sops.yaml")
    with pytest.raises(SopsRulesError) as caught:
        config.match("a")
    assert caught.value.facts["file"] == ".sops.yaml"
    assert caught.value.facts["rule"] == 1


@pytest.mark.parametrize(
    "text", [b"a: [", b"1: 2", b"stores: {yaml: {indent: x}}", b"- a", b"stores: {json: {indent: -5}}"]
)
def test_a_malformed_file_is_an_error_with_its_name(text: bytes) -> None:
    with pytest.raises((SopsRulesError, YamlError)) as caught:
        rules.parse(text, file=".sops.yaml")
    assert re.match(r"\.sops\.yaml", str(caught.value))
