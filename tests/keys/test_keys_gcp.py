"""Google Cloud KMS as its REST interface is described: what the emulator of test_keys_gcp_emulator does not show.

A server of the test plays it. It encrypts for real, has versions, asks for credentials, and holds what it is sent and what it answers
against Google's description of the interface. That it speaks Google's form is shown by sops too, whose client is Google's own for Go.
What only Google can show (its permissions, its quota, its certificates) stays open.
"""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cloud_server import Answer, CloudServer, Log, Silence, both_ways, forget, slow_answers
from google_kms import OTHER, RESOURCE, TOKEN, Kms, refusal

from agent.adapters.keys import gcp, remote
from agent.adapters.keys.gcp import GcpKeys
from agent.sops.format.keys import AgeKey, AgeRecipient, GcpKmsKey, GcpKmsRecipient
from agent.values.errors import DataKeyError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA_KEY = Secret(b"canary-data-key-of-32-bytes-long", "data key")
WHEN = "2026-01-01T00:00:00Z"


@pytest.fixture
def kms() -> Kms:
    return Kms()


@pytest.fixture
def server(kms: Kms, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudServer]:
    with CloudServer(kms) as server:
        monkeypatch.setenv("SOPS_GCP_KMS_ENDPOINT", server.url)
        yield server


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A token in the environment, and nothing else of Google's."""
    forget(monkeypatch, "GOOGLE_", "GCLOUD_", "CLOUDSDK_", "SOPS_GCP_")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("GOOGLE_OAUTH_ACCESS_TOKEN", TOKEN)


def test_what_is_wrapped_is_unwrapped(server: CloudServer) -> None:
    keys = GcpKeys()
    wrapped = keys.wrap(GcpKmsRecipient(RESOURCE), DATA_KEY, created_at=WHEN)
    assert wrapped == GcpKmsKey(RESOURCE, WHEN, wrapped.enc)
    assert keys.unwrap(wrapped) == DATA_KEY


def test_what_an_earlier_version_wrapped_is_still_unwrapped(
    server: CloudServer, kms: Kms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOPS_GCP_KMS_CLIENT_TYPE", "rest")
    before = GcpKeys().wrap(GcpKmsRecipient(RESOURCE), DATA_KEY, created_at=WHEN)
    kms.keys[RESOURCE].rotate()
    assert GcpKeys().unwrap(before) == DATA_KEY
    both_ways("--gcp-kms", RESOURCE, tmp_path)


def test_a_disabled_version_says_so_and_the_others_work(server: CloudServer, kms: Kms) -> None:
    key, keys = kms.keys[OTHER], GcpKeys()
    old = keys.wrap(GcpKmsRecipient(OTHER), DATA_KEY, created_at=WHEN)
    number = key.rotate()
    new = keys.wrap(GcpKmsRecipient(OTHER), DATA_KEY, created_at=WHEN)
    disabled = "the key, or the version of it that was used, is disabled or destroyed"
    key.disabled = {number - 1}
    assert why(old) == disabled
    assert keys.unwrap(new) == DATA_KEY
    key.disabled = {number}
    assert keys.unwrap(old) == DATA_KEY
    with pytest.raises(DataKeyError) as caught:
        keys.wrap(GcpKmsRecipient(OTHER), DATA_KEY, created_at=WHEN)
    assert (caught.value.message, caught.value.facts["recipient"]) == (disabled, OTHER)


@pytest.mark.parametrize("form", ["text", "file", "default"])
def test_a_service_account_at_google_s_own_addresses(
    form: str, kms: Kms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_OAUTH_ACCESS_TOKEN")
    (tmp_path / "account.json").write_text(kms.service_account())
    monkeypatch.setenv(
        "GOOGLE_APPLICATION_CREDENTIALS" if form == "default" else "GOOGLE_CREDENTIALS",
        kms.service_account() if form == "text" else str(tmp_path / "account.json"),
    )
    with CloudServer(kms, tmp_path, ("cloudkms.googleapis.com", "oauth2.googleapis.com")) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_file))
        keys = GcpKeys()
        assert keys.unwrap(keys.wrap(GcpKmsRecipient(RESOURCE), DATA_KEY, created_at=WHEN)) == DATA_KEY
        hosts = [request.host for request in server.seen]
    assert hosts == ["oauth2.googleapis.com", "cloudkms.googleapis.com", "cloudkms.googleapis.com"]


@pytest.mark.parametrize(
    ("variables", "host"),
    [
        ({"SOPS_GCP_KMS_ENDPOINT": "cloudkms.s3nsapis.fr:443"}, "cloudkms.s3nsapis.fr"),
        ({"SOPS_GCP_KMS_UNIVERSE_DOMAIN": "s3nsapis.fr"}, "cloudkms.s3nsapis.fr"),
    ],
)
def test_another_cloud_s_address(
    variables: dict[str, str], host: str, kms: Kms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with CloudServer(kms, tmp_path, (host,)) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_file))
        GcpKeys().wrap(GcpKmsRecipient(RESOURCE), DATA_KEY, created_at=WHEN)
        assert {request.host for request in server.seen} == {host}


def why(key: GcpKmsKey) -> str:
    """The reason, once it is sure that nothing confidential is in the error or the log."""
    with Log() as records, pytest.raises(DataKeyError) as caught:
        GcpKeys().unwrap(key)
    error = caught.value
    assert error.__cause__ is None
    assert not records
    assert "canary" not in f"{error} {error.hint} {error.facts}"
    return error.message


KEY = GcpKmsKey(RESOURCE, WHEN, base64.b64encode(b"0123456789abcdef").decode())


def test_a_key_that_does_not_open_says_why(server: CloudServer, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped = GcpKeys().wrap(GcpKmsRecipient(RESOURCE), DATA_KEY, created_at=WHEN)
    not_this_key = "this key did not make the wrapped key, or it is not one for encryption"
    assert why(GcpKmsKey(OTHER, WHEN, wrapped.enc)) == not_this_key
    assert why(KEY) == not_this_key
    assert why(GcpKmsKey(RESOURCE.replace("signet", "none"), WHEN, KEY.enc)) == "no such key in Google Cloud KMS"
    assert why(GcpKmsKey(RESOURCE, WHEN, "canary!")) == "the wrapped key is damaged"
    for wrong in (
        "",
        "a",
        RESOURCE + "/cryptoKeyVersions/1",
        RESOURCE.replace("example.com:shop", ".."),
        RESOURCE + "?x=y",
        RESOURCE + ":setIamPolicy",
        RESOURCE + "/..",
        RESOURCE.replace("/keyRings/", "/keyRings/a.b:"),
    ):
        assert why(GcpKmsKey(wrong, WHEN, KEY.enc)) == "not the resource ID of a key"
    monkeypatch.setenv("GOOGLE_OAUTH_ACCESS_TOKEN", "another-canary")
    assert why(KEY) == "Google does not accept the credentials"
    with pytest.raises(DataKeyError, match="not a Google"):
        GcpKeys().unwrap(AgeKey("age1", "x"))
    with pytest.raises(DataKeyError, match="not a Google"):
        GcpKeys().wrap(AgeRecipient("age1"), DATA_KEY, created_at=WHEN)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refusal(403, "PERMISSION_DENIED"), "Google denies the use of this key, or it does not exist"),
        (refusal(400, "FAILED_PRECONDITION"), "the key, or the version of it that was used, is disabled or destroyed"),
        (refusal(429, "RESOURCE_EXHAUSTED"), "Google is too busy"),
        (refusal(500, "CANARY"), "Google refuses"),
        (Answer(200, b"<html>canary</html>"), "the server's answer is not Google Cloud KMS's"),
        (Answer(200, {"plaintext": "canary!"}), "the server's answer is not Google Cloud KMS's"),
        (Answer(200, {"plaintext": ""}), "the server's answer is not Google Cloud KMS's"),
        (Answer(200, ["canary"]), "the server's answer is not Google Cloud KMS's"),
        (Answer(500, {"error": "canary"}), "the server's answer is not Google Cloud KMS's"),
        (Answer(307, b"", {"Location": "http://127.0.0.1:1/"}), "the server's answer is not Google Cloud KMS's"),
    ],
)
def test_each_refusal_has_its_reason(answer: Answer, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with CloudServer(lambda _: answer) as server:
        monkeypatch.setenv("SOPS_GCP_KMS_ENDPOINT", server.url)
        assert why(KEY) == reason


@pytest.mark.parametrize("text", ["canary", "{}", "[]", '{"type": "canary"}', '{"type": "service_account"}', "/"])
def test_credentials_that_are_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CREDENTIALS", text)
    assert why(KEY) == "GOOGLE_CREDENTIALS is neither a file of credentials nor their JSON"


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_OAUTH_ACCESS_TOKEN")
    assert why(KEY) == "no Google credentials"


def test_a_service_that_hangs_ends_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcp, "_READ_SECONDS", 0.05)
    with Silence() as server:
        monkeypatch.setenv("SOPS_GCP_KMS_ENDPOINT", server.url)
        assert why(KEY) == "Google does not answer"
    assert why(KEY) == "Google does not answer"  # now nothing listens there


def test_an_answer_that_drips_in_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "DEADLINE_SECONDS", 0.05)
    with slow_answers() as server:
        monkeypatch.setenv("SOPS_GCP_KMS_ENDPOINT", server.url)
        assert why(KEY) == "the server does not answer in time"


def test_a_certificate_of_an_unknown_authority(kms: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with CloudServer(kms, tmp_path, ("cloudkms.googleapis.com",)) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        assert why(KEY) == "the server's certificate is not trusted"
        assert not server.seen


def test_without_the_extra_the_reason_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth.transport.requests", None)
    assert why(KEY) == "Google Cloud KMS keys need the gcp extra"
