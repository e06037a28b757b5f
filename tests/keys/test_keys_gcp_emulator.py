"""Google Cloud KMS by drongo's server, which others made; sops, with Google's client for Go, talks to the same one.

It has keys and their names, and refuses as Google does. It does not encrypt, asks for no credentials and has no versions: those are
with test_keys_gcp.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cloud_server import both_ways, forget

from agent.adapters.keys.gcp import GcpKeys
from agent.sops.format.keys import GcpKmsKey, GcpKmsRecipient
from agent.values.errors import DataKeyError
from agent.values.secret import Secret
from testbed import binaries
from testbed.processes import Supervisor, free_port
from testbed.requests import request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA_KEY = Secret(b"canary-data-key-of-32-bytes-long", "data key")
WHEN = "2026-01-01T00:00:00Z"
RING = "projects/shop/locations/europe-west1/keyRings/ring-1"
RESOURCE, OTHER = f"{RING}/cryptoKeys/signet", f"{RING}/cryptoKeys/other"


@pytest.fixture(scope="module")
def drongo() -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = "from drongo.cli import main; main()"
    argv = [sys.executable, "-c", program, "server", "--host", "127.0.0.1", "--port", str(port)]
    with Supervisor(grace=0) as supervisor:
        process = supervisor.start("drongo", argv)
        process.wait_ready(lambda: _answers(url))
        rings, _, ring = RING.rpartition("/")
        _create(f"{url}/v1/{rings}?keyRingId={ring}", {})
        for key in (RESOURCE, OTHER):
            keys, _, name = key.rpartition("/")
            _create(f"{url}/v1/{keys}?cryptoKeyId={name}", {"purpose": "ENCRYPT_DECRYPT"})
        yield url


def _answers(url: str) -> bool:
    try:
        return request("GET", f"{url}/drongo/health")[0] == 200
    except OSError:
        return False


def _create(url: str, body: dict[str, str]) -> None:
    status, answer = request("POST", url, body)
    assert status == 200, answer


@pytest.fixture(autouse=True)
def environment(drongo: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget(monkeypatch, "GOOGLE_", "GCLOUD_", "CLOUDSDK_", "SOPS_GCP_")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("GOOGLE_OAUTH_ACCESS_TOKEN", "ya29.canary-token")
    monkeypatch.setenv("SOPS_GCP_KMS_ENDPOINT", drongo)
    monkeypatch.setenv("SOPS_GCP_KMS_CLIENT_TYPE", "rest")


def test_what_is_wrapped_is_unwrapped() -> None:
    keys = GcpKeys()
    wrapped = keys.wrap(GcpKmsRecipient(RESOURCE), DATA_KEY, created_at=WHEN)
    assert wrapped == GcpKmsKey(RESOURCE, WHEN, wrapped.enc)
    assert keys.unwrap(wrapped) == DATA_KEY


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (OTHER, "this key did not make the wrapped key, or it is not one for encryption"),
        (f"{RING}/cryptoKeys/none", "no such key in Google Cloud KMS"),
        (RESOURCE.replace("shop", "none"), "no such key in Google Cloud KMS"),
    ],
)
def test_a_key_that_does_not_open_says_why(resource: str, reason: str) -> None:
    wrapped = GcpKeys().wrap(GcpKmsRecipient(RESOURCE), DATA_KEY, created_at=WHEN)
    with pytest.raises(DataKeyError) as caught:
        GcpKeys().unwrap(GcpKmsKey(resource, WHEN, wrapped.enc))
    assert caught.value.message == reason
    assert caught.value.__cause__ is None


def test_a_key_that_is_not_there_wraps_nothing() -> None:
    with pytest.raises(DataKeyError, match="no such key") as caught:
        GcpKeys().wrap(GcpKmsRecipient(f"{RING}/cryptoKeys/none"), DATA_KEY, created_at=WHEN)
    assert caught.value.facts["recipient"] == f"{RING}/cryptoKeys/none"


def sops(*arguments: str, folder: Path) -> bytes:
    done = subprocess.run(
        [binaries.path("sops"), "--disable-version-check", *arguments], cwd=folder, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_sops_opens_what_is_wrapped_here_and_the_other_way_round(tmp_path: Path) -> None:
    """The file is sops'; its wrapped key is replaced by one for another key, made here."""
    (tmp_path / "f.json").write_text('{"a": "hunter2"}')
    file = json.loads(sops("encrypt", "--gcp-kms", RESOURCE, "f.json", folder=tmp_path))
    entry = file["sops"]["gcp_kms"][0]
    data_key = GcpKeys().unwrap(GcpKmsKey(entry["resource_id"], entry["created_at"], entry["enc"]))
    ours = GcpKeys().wrap(GcpKmsRecipient(OTHER), data_key, created_at=WHEN)
    entry.update(resource_id=ours.resource_id, created_at=ours.created_at, enc=ours.enc)
    (tmp_path / "f.json").write_text(json.dumps(file))
    assert json.loads(sops("decrypt", "f.json", folder=tmp_path)) == {"a": "hunter2"}


def test_the_commands_open_each_other_s_files(tmp_path: Path) -> None:
    both_ways("--gcp-kms", RESOURCE, tmp_path)
