"""Which keys the command line uses, and which servers it asks."""

from __future__ import annotations

import os
from typing import Any

import pytest

from agent.cli.keys import key_sources
from agent.cli.keys.key_sources import Access
from agent.sops.format.keys import (
    AzureKey,
    GcpKmsKey,
    HuaweiKey,
    HuaweiRecipient,
    KmsKey,
    PgpKey,
    TransitKey,
    WrappedKey,
    kind_of,
)
from agent.values.errors import DataKeyError
from agent.values.secret import Secret

WHEN = "2026-01-01T00:00:00Z"
HERE, THERE = "http://127.0.0.1:1", "http://127.0.0.1:2"
REFUSED = "the file names a server that you have not allowed"
ASKED = "the server does not answer"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith(("SOPS_", "VAULT_", "GNUPG"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VAULT_TOKEN", "canary-token")


@pytest.mark.parametrize(
    ("variables", "flags", "reason"),
    [
        ({}, {}, REFUSED),
        ({"VAULT_ADDR": HERE}, {}, ASKED),
        ({"VAULT_ADDR": HERE + "/"}, {}, ASKED),
        ({"VAULT_ADDR": THERE}, {}, REFUSED),
        ({"VAULT_ADDR": HERE + "0"}, {}, REFUSED),
        ({"SOPS_VAULT_URIS": f"{THERE}/v1/transit/keys/a,{HERE}/v1/a/b/keys/c"}, {}, ASKED),
        ({"SOPS_VAULT_URIS": f"{THERE}/v1/transit/keys/a"}, {}, REFUSED),
        ({}, {"vault_address": [THERE, HERE]}, ASKED),
        ({}, {"hc_vault_transit": f"{HERE}/v1/transit/keys/a"}, ASKED),
        ({"SOPS_HC_VAULT_ALLOWLIST": "all"}, {}, REFUSED),
        ({"SOPS_HC_VAULT_ALLOWLIST": "all", "VAULT_ADDR": HERE}, {}, ASKED),
        ({"SOPS_HC_VAULT_ALLOWLIST": f"{THERE}, {HERE}/"}, {}, ASKED),
        ({"SOPS_HC_VAULT_ALLOWLIST": THERE, "VAULT_ADDR": HERE}, {"vault_address": [HERE]}, REFUSED),
        ({"SOPS_HC_VAULT_ALLOWLIST": "none", "VAULT_ADDR": HERE}, {}, REFUSED),
    ],
)
def test_only_a_vault_that_the_user_named_is_asked(
    variables: dict[str, str], flags: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    keys = key_sources.master_keys(Access(**{"vault_address": [], **flags}))
    with pytest.raises(DataKeyError) as caught:
        keys.unwrap(TransitKey(HERE, "transit", "app", WHEN, "vault:v1:YQ=="))
    assert caught.value.message == reason
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        KmsKey("arn", "", (), "", WHEN, "!"),
        GcpKmsKey("projects/p", WHEN, "!"),
        AzureKey("https://a.vault.azure.net", "n", "v", WHEN, "!"),
        PgpKey("0" * 40, WHEN, "no message"),
    ],
    ids=kind_of,
)
def test_every_kind_has_keys_of_its_own(key: WrappedKey) -> None:
    with pytest.raises(DataKeyError) as caught:
        key_sources.master_keys(Access([])).unwrap(key)
    assert caught.value.message in {"the wrapped key is damaged", "gpg does not decrypt it"}


def test_huawei_s_keys_are_named_but_not_used() -> None:
    keys = key_sources.master_keys(Access([]))
    with pytest.raises(DataKeyError, match="Huawei Cloud KMS keys cannot be opened here"):
        keys.unwrap(HuaweiKey("region:uuid", WHEN, "enc"))
    with pytest.raises(DataKeyError, match="Huawei Cloud KMS keys cannot be used here"):
        keys.wrap(HuaweiRecipient("region:uuid"), Secret(b"k" * 32, "data key"), created_at=WHEN)


def test_another_gpg_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOPS_GPG_EXEC", "no-such-gpg")
    with pytest.raises(DataKeyError, match="gpg is not installed"):
        key_sources.master_keys(Access([])).unwrap(PgpKey("0" * 40, WHEN, "x"))
