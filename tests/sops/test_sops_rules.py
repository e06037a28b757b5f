"""`.sops.yaml` chooses what sops would choose.

sops is asked twice over: what it encrypts with age keys, and what it would change in a file's keys, which it tells before it asks any
server; so keys of all kinds are compared.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.adapters.keys import age
from agent.cli import exit_codes
from agent.sops.files import decrypt
from agent.sops.format.groups import Recipients
from agent.sops.format.keys import (
    AgeRecipient,
    AzureRecipient,
    GcpKmsRecipient,
    HuaweiRecipient,
    KmsRecipient,
    PgpRecipient,
    TransitRecipient,
    name_of,
)
from agent.sops.format.selection import Selection
from agent.sops.rules import CreationRule, config, rule_fields, rule_tree
from agent.sops.stores import named
from agent.values.errors import AgentError, SopsRulesError
from testbed import binaries

if TYPE_CHECKING:
    from conftest import Sops

ONE, TWO = age.generate()[0], age.generate()[0]
ARN, ROLE = "arn:aws:kms:eu-west-1:1:key/x", "arn:aws:iam::1:role/r"
GCP = "projects/p/locations/global/keyRings/r/cryptoKeys/k"
AZURE = "https://v.vault.azure.net/keys/k/1"
TRANSIT = "https://vault.example.org:8200/v1/team/transit/keys/app"

CONFIGS: dict[str, dict[str, Any]] = {
    "first match": {"creation_rules": [{"path_regex": "prod/.*", "age": ONE}, {"path_regex": ".yaml$", "age": TWO}]},
    "unanchored": {"creation_rules": [{"path_regex": "rod", "age": ONE}, {"age": TWO}]},
    "no regex": {"creation_rules": [{"age": f"{ONE}, {TWO},"}]},
    "list": {"creation_rules": [{"age": [TWO, ONE, TWO]}]},
    "list of lists": {"creation_rules": [{"age": [f"{TWO}, {ONE}", TWO]}]},
    "group": {"creation_rules": [{"age": ONE, "key_groups": [{"merge": [{"age": [TWO]}], "age": [ONE, TWO]}]}]},
    "groups": {"creation_rules": [{"key_groups": [{"age": [ONE]}, {"merge": [{"merge": [{"age": [TWO]}]}]}]}]},
    "threshold": {"creation_rules": [{"key_groups": [{"age": [ONE]}] * 3, "shamir_threshold": 2}]},
    "threshold of one group": {"creation_rules": [{"age": ONE, "shamir_threshold": 1}]},
    "selector": {"creation_rules": [{"age": ONE, "encrypted_regex": "^x$", "mac_only_encrypted": True}]},
    "suffix": {"creation_rules": [{"age": ONE, "unencrypted_suffix": "_plain"}]},
    "comment": {"creation_rules": [{"age": ONE, "encrypted_comment_regex": "secret"}]},
    "a number for text": {"creation_rules": [{"age": ONE, "encrypted_regex": 5, "path_regex": 5}, {"age": TWO}]},
    "old word for true": {"creation_rules": [{"age": ONE, "mac_only_encrypted": "yes"}]},
    "two selectors": {"creation_rules": [{"age": ONE, "encrypted_regex": "x", "encrypted_suffix": "y"}]},
    "no match": {"creation_rules": [{"path_regex": "^other", "age": ONE}]},
    "no rule": {"creation_rules": []},
    "a null rule": {"creation_rules": [None, {"age": ONE}]},
    "bad regex": {"creation_rules": [{"path_regex": "(", "age": ONE}]},
    "bad regex behind": {"creation_rules": [{"age": ONE}, {"path_regex": "(", "age": ONE}]},
    "look ahead": {"creation_rules": [{"path_regex": "(?=a)", "age": ONE}]},
    "bad key": {"creation_rules": [{"age": [1]}]},
    "bad key behind": {"creation_rules": [{"age": ONE}, {"age": [1]}]},
    "gap": {"creation_rules": [{"age": [ONE, ""]}]},
    "text for a list": {"creation_rules": [{"age": ONE}, {"hckms": "a:b"}]},
    "text for a flag": {"creation_rules": [{"age": ONE, "mac_only_encrypted": "maybe"}]},
    "text for a number": {"creation_rules": [{"age": ONE, "shamir_threshold": "1"}]},
    "a float": {"creation_rules": [{"key_groups": [{"age": [ONE]}] * 3, "shamir_threshold": 2.5}]},
    "no list": {"creation_rules": {"age": ONE}},
    "publishing": {"destination_rules": [{"s3_bucket": "b"}], "creation_rules": [{"age": ONE}]},
    "unknown field": {"creation_rules": [{"age": ONE, "filename_regex": "x"}], "more": {"1": 2}},
}


@pytest.mark.parametrize("path", ["prod/db.yaml", "dev/db.yaml"])
@pytest.mark.parametrize("given", CONFIGS)
def test_recipients_and_selection_are_those_of_sops(sops: Sops, given: str, path: str) -> None:
    text = json.dumps(CONFIGS[given]).encode()
    (sops.folder / ".sops.yaml").write_bytes(text)
    try:
        done = sops.run("encrypt", name=path, data=b"x: 1\ny: 2\n")
    finally:
        (sops.folder / ".sops.yaml").unlink()
    if done.returncode != 0:
        with pytest.raises(AgentError) as caught:
            config.parse(text, file=".sops.yaml").match(path)
        assert exit_codes.of(caught.value) == done.returncode
        return
    theirs = decrypt.read(done.stdout, file=path, store=named("yaml")).metadata
    rule = config.parse(text, file=".sops.yaml").match(path)
    assert rule is not None
    assert [[name_of(each) for each in group] for group in rule.recipients.groups] == [
        [*dict.fromkeys(map(name_of, group))] for group in theirs.data_key.groups
    ]
    assert (rule.recipients.threshold or len(rule.recipients.groups)) == (theirs.data_key.threshold or 1)
    assert rule.selection == theirs.selection


# Keys of all kinds, by what sops would change in a file that has none of them.

NAMES: dict[str, st.SearchStrategy[str]] = {
    "age": st.sampled_from([ONE, TWO, f"{ONE},{TWO}", f" {TWO} ", "age1nonsense", ""]),
    "pgp": st.sampled_from(["AAAA BBBB CCCC DDDD", "0123456789ABCDEF!", "1234567890123456", "12345678901234E1"]),
    "kms": st.sampled_from([ARN, f"{ARN}+{ROLE}", f" {ARN}"]),
    "gcp_kms": st.sampled_from([GCP, f"{GCP} 2"]),
    "hckms": st.sampled_from(["eu-1:abc", "eu-1 : abc", "nonsense", ":x"]),
    "azure_keyvault": st.sampled_from([AZURE, f" {AZURE}", f"{AZURE}/2", "nonsense"]),
    "hc_vault": st.sampled_from([TRANSIT, "http://h/v1/transit/keys/a/", "https://h/x/v1/transit/keys/a", "h/transit"]),
}


def listed(kind: str) -> st.SearchStrategy[Any]:
    names = st.lists(NAMES[kind], max_size=3)
    return names | names.map(",".join) if kind != "hckms" else names


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


GROUP: st.SearchStrategy[dict[str, Any]] = st.recursive(
    optional(
        age=st.lists(NAMES["age"], max_size=2),
        pgp=st.lists(NAMES["pgp"], max_size=2),
        kms=st.lists(
            st.fixed_dictionaries(
                {"arn": NAMES["kms"]},
                optional={
                    "role": st.just(ROLE),
                    "context": st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy")),
                    "aws_profile": st.just("p"),
                },
            ),
            max_size=2,
        ),
        gcp_kms=st.lists(st.fixed_dictionaries({"resource_id": NAMES["gcp_kms"]}), max_size=2),
        hckms=st.lists(st.fixed_dictionaries({"key_id": NAMES["hckms"]}), max_size=1),
        azure_keyvault=st.lists(
            st.just({"vaultUrl": "https://v.vault.azure.net", "key": "k", "version": "1"}), max_size=2
        ),
        hc_vault=st.lists(NAMES["hc_vault"], max_size=1),
    ),
    lambda group: st.tuples(group, st.lists(group, max_size=2)).map(lambda both: {**both[0], "merge": both[1]}),
    max_leaves=3,
)
RULE = optional(
    key_groups=st.lists(GROUP, max_size=3),
    shamir_threshold=st.integers(0, 3),
    aws_profile=st.just("p"),
    age=listed("age"),
    pgp=listed("pgp"),
    kms=listed("kms"),
    gcp_kms=listed("gcp_kms"),
    hckms=listed("hckms"),
    azure_keyvault=listed("azure_keyvault"),
    hc_vault_transit_uri=listed("hc_vault"),
)


@pytest.fixture(scope="module")
def plain_file(sops: Sops) -> str:
    (sops.folder / "keys").mkdir(exist_ok=True)
    path = sops.folder / "keys" / "f.yaml"
    path.write_bytes(sops.encrypt(b"a: 1\n", "keys/plain.yaml"))
    return str(path)


def changes(sops: Sops, path: str, given: bytes) -> tuple[int, list[list[str]]]:
    """sops' exit code, and the groups that it would give the file."""
    (sops.folder / "keys.yaml").write_bytes(given)
    done = subprocess.run(
        [binaries.path("sops"), "--disable-version-check", "--config", "keys.yaml", "updatekeys", path],
        cwd=sops.folder,
        env={"PATH": os.environ["PATH"], "HOME": str(sops.folder)},
        input=b"n\n",
        capture_output=True,
        check=False,
    )
    groups: list[list[str]] = []
    for line in done.stdout.decode().splitlines():
        if line.startswith("Group "):
            groups.append([])
        elif groups and line.startswith(("    ", "+++ ")):
            groups[-1].append(line[4:])
    return done.returncode, groups


def matched(given: bytes) -> CreationRule | SopsRulesError:
    try:
        found = config.parse(given, file="keys.yaml").match("f.yaml")
    except SopsRulesError as error:
        return error
    assert found is not None
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RULE)
def test_keys_of_every_kind_are_those_of_sops(sops: Sops, plain_file: str, rule: dict[str, Any]) -> None:
    # JSON is YAML; fingerprints of digits alone are not text in either, unless they are quoted.
    given = json.dumps({"creation_rules": [rule]}).encode()
    code, groups = changes(sops, plain_file, given)
    found = matched(given)
    if isinstance(found, SopsRulesError):
        assert code == exit_codes.of(found), given
        return
    ours = [[name_of(each) for each in group] for group in found.recipients.groups]
    if code != 0:
        # sops looks into age recipients here, we when we wrap.
        assert "age1nonsense" in json.dumps(rule), given
        return
    assert [[*dict.fromkeys(group)] for group in groups if group] == [group for group in ours if group]


def test_text_is_taken_as_it_is_written(sops: Sops, plain_file: str) -> None:
    given = b"creation_rules: [{key_groups: [{pgp: [1234567890123456, 12345678901234E1, 0x12, ~, 2024-01-01, yes]}]}]\n"
    code, [group] = changes(sops, plain_file, given)
    found = config.parse(given, file="keys.yaml").match("f.yaml")
    assert code == 0
    assert found is not None
    assert [name_of(each) for each in found.recipients.groups[0]] == group
    for flat in (b"creation_rules: [{pgp: 1234567890123456}]\n", b"creation_rules: [{pgp: [1234567890123456]}]\n"):
        assert changes(sops, plain_file, flat)[0] == 1
        with pytest.raises(SopsRulesError):
            config.parse(flat, file="keys.yaml").match("f.yaml")


def test_kinds_of_keys_anchors_and_indents() -> None:
    text = f"""
keys:
  - &one {ONE}
base: &base
  encrypted_regex: ^none$
  path_regex: b
rule: &rule
  <<: *base
  age: *one
  encrypted_regex: ^data$
creation_rules:
  - <<: [*rule, *base]
    path_regex: a
    pgp: AAAA BBBB CCCC DDDD, 0123456789ABCDEF!
    kms: {ARN}+{ROLE}
    aws_profile: dev
    gcp_kms: [{GCP}]
    hckms: ["eu-1:abc"]
    azure_keyvault: https://v.vault.azure.net/keys/k/, {AZURE}
    hc_vault_transit_uri: {TRANSIT}
stores:
  yaml: {{indent: 2}}
  json: {{indent: 4}}
  json_binary: {{indent: 0}}
--- not read [
"""
    given = config.parse(text.encode(), file=".sops.yaml")
    rule = given.match("a", context=(("team", "x"),))
    assert rule == CreationRule(
        Recipients.one_group(
            AgeRecipient(ONE),
            PgpRecipient("AAAABBBBCCCCDDDD"),
            PgpRecipient("0123456789ABCDEF!"),
            KmsRecipient(ARN, ROLE, (("team", "x"),), "dev"),
            GcpKmsRecipient(GCP),
            HuaweiRecipient("eu-1:abc"),
            AzureRecipient("https://v.vault.azure.net", "k"),
            AzureRecipient("https://v.vault.azure.net", "k", "1"),
            TransitRecipient("https://vault.example.org:8200", "team/transit", "app"),
        ),
        Selection("encrypted_regex", "^data$"),
        by_path=True,
    )
    assert (given.yaml_indent, given.json_indent, given.binary_indent) == (2, 4, 0)


@pytest.mark.parametrize("text", [b"", b"destination_rules: []\n", b"creation_rules:\n", b"~\n", b"1: 2\n"])
def test_a_file_without_rules_is_as_none(text: bytes) -> None:
    assert config.parse(text, file=".sops.yaml").match("a") is None


@pytest.mark.parametrize(
    "rule",
    [
        {"age": ONE, "gcp_kms": {"a": 1}},
        {"azure_keyvault": "https://vault.example.org"},
        {"hckms": ["nonsense"]},
        {"hc_vault_transit_uri": "vault.example.org/transit"},
        {"hc_vault_transit_uri": "https://user@vault.example.org/v1/transit/keys/a"},
        {"hc_vault_transit_uri": "https://vault.example.org/v1/../keys/a"},
        {"age": {"a": 1}},
        {"age": f"{ONE},,{TWO}", "key_groups": [{"age": [f"{ONE},,{TWO}"]}]},
    ],
)
def test_what_makes_no_sense_is_an_error_with_the_rule(rule: dict[str, Any]) -> None:
    given = config.parse(json.dumps({"creation_rules": [{"path_regex": "b"}, rule]}).encode(), file=".sops.yaml")
    with pytest.raises(SopsRulesError) as caught:
        given.match("a")
    assert caught.value.facts["file"] == ".sops.yaml"
    assert caught.value.facts["rule"] == 2


@pytest.mark.parametrize(
    "text",
    [
        b"a: [",
        b"- a",
        b"a: 1\na: 2",
        b"? [a]\n: b",
        b"a: \xff",
        b"stores: x",
        b"stores: {yaml: {indent: x}}",
        b"stores: {yaml: {indent: true}}",
        b"stores: {yaml: {indent: .inf}}",
        b"stores: {json: {indent: -5}}",
        b"creation_rules: [a]",
        b"creation_rules: [{path_regex: [a]}]",
        b"creation_rules: [{key_groups: [{pgp: a}]}]",
        b"creation_rules: [{key_groups: [{kms: [{arn: a, context: b}]}]}]",
        b"creation_rules: [{mac_only_encrypted: !!int x}]",
        b"creation_rules: [{<<: 1}]",
        b"a: &a [*a]",
        b"x: " + b"[" * 1000 + b"]" * 1000,
    ],
)
def test_a_malformed_file_is_an_error_with_its_name(text: bytes) -> None:
    with pytest.raises(SopsRulesError) as caught:
        config.parse(text, file=".sops.yaml")
    assert re.match(r"\.sops\.yaml", str(caught.value))
    assert exit_codes.of(caught.value) == 1


PLAIN = """\
# who reads what
creation_rules:
  - path_regex: secrets?\\.yaml$
    encrypted_regex: ^(data|stringData)$ # of Kubernetes
    age: 'age1a,age1b'
    shamir_threshold: 2
  # staging
  - age:
      - age1a
      # left
      - "age1b" # right
      - 017
      - 2020-01-01
    pgp: 0123
    kms: null
    hckms: ~
    mac_only_encrypted: yes
  - gcp_kms: |
      a,
      b
    aws_profile:
stores:
    yaml:
        indent: 2
    json: {}
destination_rules: []
"""


@pytest.mark.parametrize(
    "text", [PLAIN, *(yaml.safe_dump(given) for given in CONFIGS.values())], ids=["plain", *CONFIGS]
)
def test_a_file_reads_the_same_by_line_and_by_event(text: str) -> None:
    data = text.encode()
    assert rule_fields.parse(data, file="a").nodes == rule_tree.first_document(data, file="a")


def test_a_plain_file_is_read_by_line() -> None:
    script = f"import sys; from agent.sops.rules import config; config.parse({PLAIN.encode()!r}, file='a'); sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
