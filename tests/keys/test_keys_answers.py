"""Answers of services that hold keys, as none of them would give: packed, endless, nested without end. They cost little, and say so."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from azure_cloud import LOGIN, OLD, URL, VAULT, reach, signed_in
from cloud_server import Answer, CloudServer, forget
from google_kms import RESOURCE, TOKEN

from agent.adapters.keys.aws import AwsKeys
from agent.adapters.keys.azure import AzureKeys
from agent.adapters.keys.gcp import GcpKeys
from agent.adapters.keys.transit import TransitKeys
from agent.sops.format.keys import AzureKey, GcpKmsKey, KmsKey, TransitKey
from agent.values.errors import DataKeyError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1024 * 1024
WHEN = "2026-01-01T00:00:00Z"
ARN = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
PACKED = Answer(200, gzip.compress(bytes(256 * MIB), 1), {"Content-Encoding": "gzip"})
ANSWERS = {
    "packed": PACKED,
    "refused and packed": Answer(400, PACKED.body, PACKED.headers),
    "large": Answer(200, b" " * (64 * MIB)),
    "refused and large": Answer(400, b" " * (64 * MIB)),
    "nested": Answer(200, b"[" * 100_000),
}


@pytest.fixture
def reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, Answer], str]:
    """Why a key of a service does not open, where its server gives this answer to everything."""

    def ask(service: str, answer: Answer) -> str:
        hosts = (VAULT, LOGIN) if service == "azure" else ()
        with CloudServer(lambda _: answer, tmp_path if hosts else None, hosts) as server:
            if service == "transit":
                keys: TransitKeys | AwsKeys | GcpKeys | AzureKeys = TransitKeys([server.url], Secret("t", "t"))
                key = TransitKey(server.url, "transit", "app", WHEN, "vault:v1:Y2FuYXJ5")
            elif service == "aws":
                forget(monkeypatch, "AWS_")
                monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
                monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
                monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
                monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
                keys, key = AwsKeys(), KmsKey(ARN, "", (), "", WHEN, "Y2FuYXJ5")
            elif service == "gcp":
                forget(monkeypatch, "GOOGLE_", "SOPS_GCP_")
                monkeypatch.setenv("GOOGLE_OAUTH_ACCESS_TOKEN", TOKEN)
                monkeypatch.setenv("SOPS_GCP_KMS_ENDPOINT", server.url)
                keys, key = GcpKeys(), GcpKmsKey(RESOURCE, WHEN, "Y2FuYXJ5")
            else:
                signed_in(monkeypatch, tmp_path)
                reach(server, monkeypatch)
                keys, key = AzureKeys(), AzureKey(URL, "app", OLD, WHEN, "Y2FuYXJ5")
            with pytest.raises(DataKeyError) as caught:
                keys.unwrap(key)
        return caught.value.message

    return ask


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("service", ["transit", "aws", "gcp", "azure"])
def test_an_answer_costs_little(service: str, answer: str, reason: Callable[[str, Answer], str]) -> None:
    reason(service, Answer(403, {}))  # what is loaded once
    tracemalloc.start()
    try:
        reason(service, ANSWERS[answer])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * MIB


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("packed", "the server's answer is compressed, which is not supported"),
        ("refused and packed", "the server's answer is compressed, which is not supported"),
        ("large", "the server's answer is too large"),
        ("nested", "the server's answer is not transit's"),
    ],
)
def test_transit_says_why(answer: str, expected: str, reason: Callable[[str, Answer], str]) -> None:
    assert reason("transit", ANSWERS[answer]) == expected
