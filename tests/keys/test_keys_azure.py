"""Azure Key Vault as its REST interface is documented: no registry has an emulator that encrypts.

A server of the test plays a vault and Azure's sign-in under their own names, behind a proxy. It works with real RSA keys, gives the
401 that names the sign-in, checks tokens, and is strict about what it is sent. That it speaks Azure's form is shown by Azure's
recorded answers (test_keys_azure_recordings) and by sops, whose client is Microsoft's own for Go: both use the same server, each opens
what the other wrapped. What only Azure can show (access policies, the other kinds of credentials) stays open.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from azure_cloud import LOGIN, NEW, OLD, URL, VAULT, Azure, reach, refusal, signed_in, text
from cloud_server import Answer, CloudServer, Log, Request, Silence, both_ways

from agent.adapters.keys import azure, remote
from agent.adapters.keys.azure import AzureKeys
from agent.sops.format.keys import AgeKey, AgeRecipient, AzureKey, AzureRecipient
from agent.values.errors import DataKeyError
from agent.values.secret import Secret
from testbed import binaries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA_KEY = Secret(b"canary-data-key-of-32-bytes-long", "data key")
WHEN = "2026-01-01T00:00:00Z"


@pytest.fixture
def cloud() -> Azure:
    return Azure()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    signed_in(monkeypatch, tmp_path)


@pytest.fixture
def server(cloud: Azure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudServer]:
    with CloudServer(cloud, tmp_path, (VAULT, "fresh.vault.azure.net", LOGIN)) as server:
        reach(server, monkeypatch)
        yield server


@pytest.mark.parametrize(("version", "expected"), [(OLD, OLD), (NEW, NEW), ("", NEW)])
@pytest.mark.parametrize("url", [URL, URL + "/"])
def test_what_is_wrapped_is_unwrapped(server: CloudServer, url: str, version: str, expected: str) -> None:
    keys = AzureKeys()
    wrapped = keys.wrap(AzureRecipient(url, "app", version), DATA_KEY, created_at=WHEN)
    assert wrapped == AzureKey(url, "app", expected, WHEN, wrapped.enc)
    assert keys.unwrap(wrapped) == DATA_KEY


def test_who_may_not_read_the_key_can_still_use_it(server: CloudServer, cloud: Azure) -> None:
    cloud.may_get = False
    keys = AzureKeys()
    assert keys.unwrap(keys.wrap(AzureRecipient(URL, "app", OLD), DATA_KEY, created_at=WHEN)) == DATA_KEY
    with pytest.raises(DataKeyError):
        keys.wrap(AzureRecipient(URL, "app"), DATA_KEY, created_at=WHEN)


def test_a_disabled_version_says_so_and_the_others_work(server: CloudServer, cloud: Azure) -> None:
    keys = AzureKeys()
    old = keys.wrap(AzureRecipient(URL, "app", OLD), DATA_KEY, created_at=WHEN)
    cloud.disabled.add(OLD)
    assert why(old) == "Azure denies the use of this key, or it is disabled"
    assert keys.unwrap(keys.wrap(AzureRecipient(URL, "app"), DATA_KEY, created_at=WHEN)) == DATA_KEY
    cloud.may_get = False  # so that it is Azure that wraps
    with pytest.raises(DataKeyError, match="or it is disabled"):
        keys.wrap(AzureRecipient(URL, "app", OLD), DATA_KEY, created_at=WHEN)


def sops(*arguments: str, folder: Path) -> bytes:
    done = subprocess.run(
        [binaries.path("sops"), "--disable-version-check", *arguments], cwd=folder, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_sops_opens_what_is_wrapped_here_and_the_other_way_round(server: CloudServer, tmp_path: Path) -> None:
    """The file is sops'; its wrapped key is replaced by one for the other version, made here."""
    (tmp_path / "f.json").write_text('{"a": "hunter2"}')
    file = json.loads(sops("encrypt", "--azure-kv", f"{URL}/keys/app/{OLD}", "f.json", folder=tmp_path))
    entry = file["sops"]["azure_kv"][0]
    theirs = AzureKey(entry["vault_url"], entry["name"], entry["version"], entry["created_at"], entry["enc"])
    assert (theirs.vault_url, theirs.name, theirs.version) == (URL, "app", OLD)
    ours = AzureKeys().wrap(AzureRecipient(URL, "app"), AzureKeys().unwrap(theirs), created_at=WHEN)
    entry.update(version=ours.version, created_at=ours.created_at, enc=ours.enc)
    (tmp_path / "f.json").write_text(json.dumps(file))
    assert json.loads(sops("decrypt", "f.json", folder=tmp_path)) == {"a": "hunter2"}


@pytest.mark.parametrize("version", [OLD, ""])
def test_the_commands_open_each_other_s_files(server: CloudServer, version: str, tmp_path: Path) -> None:
    both_ways("--azure-kv", f"{URL}/keys/app/{version}", tmp_path)


def why(key: AzureKey) -> str:
    """The reason, once it is sure that nothing confidential is in the error or the log."""
    with Log() as records, pytest.raises(DataKeyError) as caught:
        AzureKeys().unwrap(key)
    error = caught.value
    assert error.__cause__ is None
    assert not records
    assert "canary" not in f"{error} {error.hint} {error.facts}"
    return error.message


KEY = AzureKey(URL, "app", OLD, WHEN, text(b"0" * 256))
# One that no other test uses: the client remembers which sign-in a vault asked for.
FRESH = AzureKey("https://fresh.vault.azure.net", "app", OLD, WHEN, KEY.enc)


def test_a_key_that_does_not_open_says_why(server: CloudServer) -> None:
    wrapped = AzureKeys().wrap(AzureRecipient(URL, "app", OLD), DATA_KEY, created_at=WHEN)

    def changed(**changes: str) -> AzureKey:
        fields = {"vault_url": URL, "name": "app", "version": OLD, "enc": wrapped.enc}
        return AzureKey(created_at=WHEN, **{**fields, **changes})

    assert why(changed(version=NEW)) == "this key did not make the wrapped key, or it is not one for RSA-OAEP-256"
    assert why(changed(name="none")) == "no such key, or version of it, in the vault"
    assert why(changed(enc="canary!")) == "the wrapped key is damaged"
    for wrong in (
        {"vault_url": "http://signet.vault.azure.net"},
        {"vault_url": "https://user@signet.vault.azure.net"},
        {"vault_url": f"{URL}/x?y"},
        {"vault_url": ""},
        {"name": ""},
        {"name": "../secrets"},
        {"version": "a/b"},
    ):
        assert why(changed(**wrong)) == "not the address of a key in a vault"
    with pytest.raises(DataKeyError, match="not an Azure"):
        AzureKeys().unwrap(AgeKey("age1", "x"))
    with pytest.raises(DataKeyError, match="not an Azure"):
        AzureKeys().wrap(AgeRecipient("age1"), DATA_KEY, created_at=WHEN)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refusal(403, "Forbidden"), "Azure denies the use of this key, or it is disabled"),
        (refusal(409, "Canary"), "Azure refuses"),
        (Answer(200, b"<html>canary</html>"), "the server's answer is not Azure Key Vault's"),
        (Answer(200, {"value": ""}), "the server's answer is not Azure Key Vault's"),
        (Answer(200, {"value": "canary!"}), "the server's answer is not Azure Key Vault's"),
        (Answer(200, ["canary"]), "the server's answer is not Azure Key Vault's"),
    ],
)
def test_each_refusal_has_its_reason(server: CloudServer, cloud: Azure, answer: Answer, reason: str) -> None:
    cloud.refuses = answer
    assert why(KEY) == reason


@pytest.mark.parametrize("variables", [{"AZURE_CLIENT_SECRET": "canary-other"}, {"AZURE_CLIENT_ID": "canary"}])
def test_a_sign_in_that_is_refused(
    server: CloudServer, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert why(KEY) == "Azure accepts none of the available credentials"


def test_a_token_goes_to_vaults_alone(cloud: Azure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file names its vault. A server elsewhere that asks for a token of Azure's vaults gets none."""
    with CloudServer(cloud, tmp_path, ("signet.vault.azure.example", LOGIN)) as server:
        reach(server, monkeypatch)
        key = AzureKey("https://signet.vault.azure.example", "app", OLD, WHEN, KEY.enc)
        assert why(key) == "the vault is not in a domain of Azure's"
        assert not server.seen
        with pytest.raises(DataKeyError, match="the server's answer is not Azure Key Vault's"):
            AzureKeys([key.vault_url]).unwrap(key)
        assert server.seen
        assert not [request for request in server.seen if "authorization" in request.headers]


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1",
        "https://169.254.169.254",
        "https://vault.azure.net.example.org",
        "https://evilvault.azure.net",
        "https://vault.azure.net",
        "https://a.vault.azure.net.",
        "https://a.vault.azure.net:8443",
        "https://localhost:8443/",
    ],
)
def test_a_file_names_no_vault_outside_of_azure_s_domains(address: str) -> None:
    assert why(AzureKey(address, "app", OLD, WHEN, KEY.enc)) == "the vault is not in a domain of Azure's"


def test_a_service_that_hangs_ends_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure, "_READ_SECONDS", 0.05)
    monkeypatch.setattr(azure, "_CONNECT_SECONDS", 0.05)
    monkeypatch.setattr(azure, "_RETRIES", 0)
    with Silence() as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        assert why(FRESH) == "the vault, or Azure's sign-in, does not answer"
    assert why(FRESH) == "the vault, or Azure's sign-in, does not answer"  # now nothing listens there


def test_an_answer_that_drips_in_has_a_deadline(cloud: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "DEADLINE_SECONDS", 0.05)
    release = threading.Event()

    def answer(_: Request) -> Answer:
        release.wait(30)
        return Answer(404, {})

    with CloudServer(answer, tmp_path, (VAULT, LOGIN)) as server:
        reach(server, monkeypatch)
        assert why(KEY) == "the server does not answer in time"
        release.set()


def test_a_certificate_of_an_unknown_authority(server: CloudServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    assert why(FRESH) == "the server's certificate is not trusted"
    assert not server.seen


def test_without_the_extra_the_reason_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    assert why(KEY) == "Azure Key Vault keys need the azure extra"
