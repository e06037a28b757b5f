"""Flags and variables for keys of every kind, and which servers they let be asked."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest

from agent.cli import exit_codes, flags
from agent.cli.keys import recipients
from agent.sops.format.keys import kind_of, name_of
from agent.values.errors import EncryptionContextError, SopsRulesError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conftest import Shell

    from agent.sops.format.keys import Recipient
    from testbed.openbao import OpenBao

# In the order in which sops lists them; each with its flag, its variable, a text, and what sops makes of it.
KINDS = [
    ("kms", "kms", "SOPS_KMS_ARN", "arn:k, arn:l+arn:r", ["arn:k|a:b,c:d|p", "arn:l+arn:r|a:b,c:d|p"]),
    ("gcp_kms", "gcp-kms", "SOPS_GCP_KMS_IDS", "projects/p, x y", ["projects/p", "xy"]),
    ("hckms", "hckms", "SOPS_HUAWEICLOUD_KMS_IDS", "eu-1:a,,eu-1:b", ["eu-1:a", "eu-1:b"]),
    ("azure_kv", "azure-kv", "SOPS_AZURE_KEYVAULT_URLS", "https://v/keys/k/1", ["https://v/keys/k/1"]),
    ("pgp", "pgp", "SOPS_PGP_FP", "AA BB, CC!", ["AABB", "CC!"]),
    ("hc_vault", "hc-vault-transit", "SOPS_VAULT_URIS", "https://h/v1/t/keys/k", ["https://h/v1/t/keys/k"]),
    ("age", "age", "SOPS_AGE_RECIPIENTS", "age1x, age1y,age1x", ["age1x", "age1y"]),
]
AWS = ["--aws-profile=p", "--encryption-context=c:d,a:b"]
EXPECTED = [(kind, name) for kind, _, _, _, names in KINDS for name in names]
PLAIN = b"a: hunter2\n"


def parsed(
    *arguments: str, add: Callable[[argparse.ArgumentParser], None] = recipients.add_options, prefix: str = ""
) -> recipients.Named:
    parser = argparse.ArgumentParser()
    add(parser)
    return flags.typed(recipients.Named, parser.parse_args(arguments), prefix)


def listed(found: Sequence[Recipient]) -> list[tuple[str, str]]:
    return [(kind_of(each), name_of(each)) for each in found]


def test_each_kind_has_its_flag_and_its_variable(shell: Shell) -> None:
    given = parsed(*AWS, *(f"--{flag}={text}" for _, flag, _, text, _ in KINDS))
    assert listed(recipients.named(given)) == EXPECTED
    for _, _, variable, text, _ in KINDS:
        shell.env(variable, text)
    assert listed(recipients.named(parsed(*AWS))) == EXPECTED
    short = parsed("-a", "age1z", "-p", "DD", "-k", "arn:m")
    assert {("age", "age1z"), ("pgp", "DD"), ("kms", "arn:m")} <= set(listed(recipients.named(short)))
    assert ("age", "age1x") not in listed(recipients.named(short))


@pytest.mark.parametrize("verb", ["add", "rm"])
def test_keys_are_added_and_removed_by_kind(shell: Shell, verb: str) -> None:
    shell.env("SOPS_AGE_RECIPIENTS", "age1z")
    texts = [f"--{verb}-{flag}={text}" for _, flag, _, text, _ in KINDS]
    add, prefix = recipients.add_change_options, f"{verb}_"
    assert listed(recipients.of(parsed(*AWS, *texts, add=add, prefix=prefix))) == EXPECTED
    assert recipients.of(parsed(add=add, prefix=prefix)) == ()


def test_a_group_is_named_key_by_key(shell: Shell) -> None:
    shell.env("SOPS_AGE_RECIPIENTS", "age1z")
    texts = [f"--{flag}={name.strip()}" for _, flag, _, text, _ in KINDS for name in text.split(",")]
    assert listed(recipients.of(parsed(*AWS, *texts, add=recipients.add_group_options))) == EXPECTED
    assert recipients.of(parsed(add=recipients.add_group_options)) == ()


@pytest.mark.parametrize("text", ["a", "a:b:c", "a:b,", ":,x"])
def test_an_encryption_context_is_names_with_values(text: str) -> None:
    with pytest.raises(EncryptionContextError) as caught:
        recipients.named(parsed(f"--encryption-context={text}"))
    assert exit_codes.of(caught.value) == 6


@pytest.mark.parametrize(
    "flag", ["age=age1x,", "pgp=,A", "hckms=x", "azure-kv=http://v/keys/k/1", "hc-vault-transit=h"]
)
def test_what_can_be_no_key_is_an_error(flag: str) -> None:
    with pytest.raises(SopsRulesError):
        recipients.named(parsed(f"--{flag}"))


def test_a_transit_key_that_a_flag_names_may_be_asked(shell: Shell, openbao: OpenBao) -> None:
    openbao.enable_transit(mount="change")
    openbao.create_transit_key("app", mount="change")
    uri = f"{openbao.url}/v1/change/keys/app"
    shell.env("VAULT_TOKEN", openbao.root_token)
    made = shell.agent("encrypt", "--age", shell.recipient, "--filename-override", "s.yaml", stdin=PLAIN)
    shell.write("s.yaml", made.out)
    shell.write("t.yaml", made.out)
    assert shell.agent("rotate", "-i", "--add-hc-vault-transit", uri, "s.yaml").code == 0
    assert shell.agent("groups", "add", "-f", "t.yaml", "-i", "--hc-vault-transit", uri).code == 0
    assert shell.sops("decrypt", "t.yaml").out == PLAIN
    shell.env("SOPS_AGE_KEY", None)
    assert shell.sops("decrypt", "s.yaml").out == PLAIN
    # The file alone names no server that is sent the token.
    assert shell.agent("rotate", "-i", "s.yaml").code == 128
    shell.write(".sops.yaml", f"creation_rules: [{{hc_vault_transit_uri: '{uri}'}}]\n")
    assert "names a server that you have not allowed" in shell.agent("updatekeys", "-y", "s.yaml").err
    shell.env("SOPS_VAULT_URIS", uri)
    assert shell.agent("updatekeys", "-y", "s.yaml").code == 0
    assert shell.agent("decrypt", "s.yaml").out == PLAIN
