"""`agent migrate sealed-secrets`: what kubeseal sealed becomes what sops opens, with the same values and metadata."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sealed_repositories import RAW, TEXT, Repository, manifest, merged, pair, plain, repository

__all__ = ["pair", "repository"]


@pytest.mark.parametrize("scope", ["strict", "namespace-wide", "cluster-wide"])
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_sops_opens_what_kubeseal_would_recover(repository: Repository, scope: str, form: str) -> None:
    sealed = repository.seal(plain(), "--scope", scope, "-o", form)
    expected = repository.pair.recover(sealed, program=repository.kubeseal)
    repository.shell.write(f"db.{form}", sealed)

    result = repository.migrate("-i", ".")

    assert result.code == 0, result.err
    assert b"Secret shop/db" in result.out
    assert b"keys.yaml#current" in result.out
    [secret] = repository.secrets(f"db.{form}")
    metadata = expected["metadata"]
    assert isinstance(metadata, dict)
    # What only a server writes: the owner is the SealedSecret that is gone.
    expected["metadata"] = {key: metadata[key] for key in ("name", "namespace", "labels", "annotations")}
    assert secret == merged(expected)
    shown = repository.files()[f"db.{form}"]
    assert "example.com/kind" in shown
    assert "team" in shown
    assert shown.count("ENC[AES256_GCM,data:") == 5  # four values that are not empty, and the MAC


KEYS = st.from_regex(r"[-._a-zA-Z0-9]{1,20}", fullmatch=True).filter(lambda key: key not in {".", ".."})
NASTY = (
    *("", " ", "null", "~", "yes", "0x10", "1e3", "2024-01-02", "---", "- a", "#x", "a: b", "'", '"', "<<", "😀"),
    *("\n", "\r\n", "\tx", "\x00", "\x1b[2J", "\x85", "\u2028", "\ufeff", "\ufffe", "x\n\n", "  x\n y\n"),
    *("ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]", "vault://main/secret/a#b", "${vault://main/secret/a#b}"),
)
VALUES = st.one_of(st.sampled_from(NASTY).map(str.encode), st.text(max_size=40).map(str.encode), st.binary(max_size=40))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.dictionaries(KEYS, VALUES, max_size=12))
def test_every_value_is_the_same_bytes_afterwards(repository: Repository, data: dict[str, bytes]) -> None:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    sealed = repository.seal(plain(stringData={}, data=encoded), "--allow-empty-data")
    repository.shell.write("db.yaml", sealed)
    result = repository.migrate("-i", "db.yaml")
    assert result.code == 0, result.err
    [secret] = repository.secrets("db.yaml")
    assert secret["data"] == encoded


def test_what_is_text_can_be_edited_as_text(repository: Repository) -> None:
    repository.shell.write("db.yaml", repository.seal(plain()))
    repository.migrate("-i", "db.yaml")
    opened = repository.shell.sops("decrypt", "--extract", '["stringData"]["text"]', "db.yaml")
    assert opened.out.decode() == TEXT
    assert repository.shell.sops("decrypt", "--extract", '["data"]["raw"]', "db.yaml").out == base64.b64encode(RAW)


def test_what_the_agent_would_read_as_a_reference_stays_the_text_that_it_is(repository: Repository) -> None:
    text = "vault://main/secret/shop#password"
    repository.shell.write("db.yaml", repository.seal(plain(stringData={"address": text}, data={})))
    assert repository.migrate("-i", "db.yaml").code == 0
    [secret] = repository.secrets("db.yaml")
    assert secret["data"] == {"address": base64.b64encode(text.encode()).decode()}
    opened = repository.shell.sops("decrypt", "--extract", '["data"]["address"]', "db.yaml")
    assert opened.code == 0


def test_a_list_of_sealed_secrets_is_migrated_whole(repository: Repository) -> None:
    items = [manifest(repository.seal(plain(name))) for name in ("one", "two")]
    for name in ("list.yaml", "list.json"):
        repository.shell.write(name, json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    assert repository.migrate("-i", ".").code == 0
    assert [each["metadata"]["name"] for each in repository.secrets("list.yaml")] == ["one", "two"]
    opened = json.loads(repository.shell.sops("decrypt", "list.json").out)
    assert [merged(each)["data"]["number"] for each in opened["items"]] == ["MDEyMw==", "MDEyMw=="]


def test_the_namespace_may_be_said_on_the_command_line(repository: Repository) -> None:
    sealed = repository.seal(plain())
    repository.shell.write("db.yaml", sealed.replace("  namespace: shop\n", "", 1))
    assert repository.migrate("-i", "db.yaml").code == 1
    assert repository.migrate("-i", "-n", "shop", "db.yaml").code == 0
    [secret] = repository.secrets("db.yaml")
    assert "namespace" not in secret["metadata"]


def test_texts_of_the_template_without_an_action_are_taken_as_they_are(repository: Repository) -> None:
    sealed = repository.seal(plain()).replace(
        "  template:\n", "  template:\n    data: {mode: fast, number: replaced}\n"
    )
    expected = repository.pair.recover(sealed, program=repository.kubeseal)
    repository.shell.write("db.yaml", sealed)
    assert repository.migrate("-i", "db.yaml").code == 0
    assert repository.secrets("db.yaml")[0]["data"] == merged(expected)["data"]


def test_words_for_the_agent_on_the_sealed_secret_stay_with_the_secret(repository: Repository) -> None:
    sealed = repository.seal(plain()).replace(
        "  name: db\n", "  name: db\n  annotations: {signet-gitops.dev/wave: '3', example.com/other: x}\n", 1
    )
    repository.shell.write("db.yaml", sealed)
    assert repository.migrate("-i", "db.yaml").code == 0
    metadata = repository.secrets("db.yaml")[0]["metadata"]
    assert metadata["annotations"] == {"signet-gitops.dev/wave": "3", "note": "kept"}


def test_keys_come_from_standard_input_too(repository: Repository) -> None:
    repository.shell.write("db.yaml", repository.seal(plain()))
    pem = repository.pair.key.encode()
    result = repository.shell.agent("migrate", "sealed-secrets", "--sealing-key", "-", "-i", "db.yaml", stdin=pem)
    assert result.code == 0, result.err
    assert b"standard input" in result.out
    assert [each["kind"] for each in repository.secrets("db.yaml")] == ["Secret"]


def test_rules_that_would_leave_a_value_in_the_clear_are_refused(repository: Repository) -> None:
    sealed = repository.seal(plain())
    repository.shell.write("db.yaml", sealed)
    for flags in (
        ("--encrypted-regex", "^password$"),
        ("--unencrypted-regex", "^text$"),
        ("--encrypted-suffix", "word"),
    ):
        result = repository.migrate(*flags, "-i", "db.yaml")
        assert result.code == 1
        assert "the rules would leave a value of a Secret in the clear" in result.err
        assert repository.files() == {"db.yaml": sealed}
    assert (
        repository.migrate("--unencrypted-regex", "^(apiVersion|kind|metadata|type|immutable)$", "-i", "db.yaml").code
        == 0
    )


def test_a_rule_of_sops_yaml_is_followed_for_the_file_that_is_written(repository: Repository) -> None:
    rules = (
        f"creation_rules:\n  - path_regex: ^out/\n    age: {repository.shell.recipient}\n    mac_only_encrypted: true\n"
    )
    repository.shell.write(".sops.yaml", rules)
    repository.shell.write("db.yaml", repository.seal(plain()))
    refused = repository.migrate("-i", "db.yaml")
    assert refused.code == 1
    assert "no creation rule matches" in refused.err
    assert repository.migrate("--output-dir", "out", "db.yaml").code == 0
    written = repository.files()["out/db.yaml"]
    assert "mac_only_encrypted: true" in written
    assert "encrypted_regex: ^(data|stringData)$" in written
