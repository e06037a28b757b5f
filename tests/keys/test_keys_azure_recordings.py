"""Azure's own answers: Microsoft recorded them from a vault and a Managed HSM in testing its client for Go.

A server gives each recorded answer to the recorded request and to no other: the algorithm, the ciphertext and the encoding of both
must be what Azure was sent. There is no recording of a GET of these keys: it is answered with what Azure said when it made them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from azure_cloud import LOGIN, NEW, TOKEN, VAULT, Azure, reach, sign_in, signed_in
from azure_cloud import URL as PLAYED
from cloud_server import Answer, CloudServer, Request

from agent.adapters.keys.azure import AzureKeys
from agent.sops.format.keys import AzureKey, AzureRecipient
from agent.values.errors import DataKeyError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

VECTORS = Path(__file__).parents[1] / "vectors/azure"
WHEN = "2023-03-28T22:06:22Z"
SAID = Secret(b"plaintext", "data key")


@dataclass(frozen=True)
class Exchange:
    method: str
    address: tuple[str, ...]
    request: Any
    status: int
    body: Any
    challenge: str


class Recording:
    """What was said to one service, and the key that it was about."""

    def __init__(self, name: str) -> None:
        self.exchanges = exchanges(name)
        self.missing = next(each for each in exchanges(f"{name}-missing") if each.status == 404)
        (made,) = [each for each in self.exchanges if each.address[2:] == ("create",) and each.status == 200]
        self.bundle = made.body
        self.url, _, self.key, self.version = self.bundle["key"]["kid"].rsplit("/", 3)
        self.host = self.url.removeprefix("https://")
        self.may_get = True

    def __call__(self, request: Request) -> Answer:
        if request.host == LOGIN:
            return sign_in(request, "https://local")  # as the recorded challenge has it
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            refused = self.exchanges[0]
            return Answer(refused.status, refused.body, {"WWW-Authenticate": refused.challenge})
        address = tuple(part for part in urlsplit(request.path).path.split("/") if part)
        if address[:2] != ("keys", self.key):
            return Answer(self.missing.status, self.missing.body)
        if request.method == "GET":
            return Answer(200, self.bundle) if self.may_get else Answer(403, {"error": {"code": "Forbidden"}})
        name = tuple(
            part for part in address if part != self.version
        )  # sops always names it, the recorded decrypt did not
        (found,) = [each for each in self.exchanges if each.method == "POST" and self._plain(each) == name]
        assert request.json() == found.request
        return Answer(found.status, found.body)

    def _plain(self, exchange: Exchange) -> tuple[str, ...]:
        return tuple(part for part in exchange.address if part != self.version)

    def of(self, action: str) -> Exchange:
        return next(each for each in self.exchanges if each.address[-1] == action)


def exchanges(name: str) -> list[Exchange]:
    entries = json.loads((VECTORS / f"{name}.json").read_text())["Entries"]
    return [
        Exchange(
            entry["RequestMethod"],
            tuple(urlsplit(entry["RequestUri"]).path.strip("/").split("/")),
            entry["RequestBody"],
            entry["StatusCode"],
            entry["ResponseBody"] if entry["ResponseBody"] is not None else b"",
            entry["ResponseHeaders"].get("WWW-Authenticate", ""),
        )
        for entry in entries
    ]


@pytest.fixture(params=["vault", "hsm"])
def recording(request: pytest.FixtureRequest) -> Recording:
    return Recording(request.param)


@pytest.fixture(autouse=True)
def server(recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudServer]:
    signed_in(monkeypatch, tmp_path)
    with CloudServer(recording, tmp_path, (recording.host, LOGIN)) as server:
        reach(server, monkeypatch)
        yield server


def test_what_azure_wrapped_is_unwrapped(recording: Recording, server: CloudServer) -> None:
    enc = recording.of("encrypt").body["value"]
    key = AzureKey(recording.url, recording.key, recording.version, WHEN, enc)
    assert AzureKeys([recording.url]).unwrap(key) == SAID
    assert [each.host for each in server.seen if each.host != LOGIN][-1] == recording.host


def test_azure_wraps_where_the_key_may_not_be_read(recording: Recording) -> None:
    """Where it may, the client wraps with the public key, and Azure is not asked."""
    recording.may_get = False
    recipient = AzureRecipient(recording.url, recording.key, recording.version)
    wrapped = AzureKeys([recording.url]).wrap(recipient, SAID, created_at=WHEN)
    assert wrapped == AzureKey(
        recording.url, recording.key, recording.version, WHEN, recording.of("encrypt").body["value"]
    )
    assert AzureKeys([recording.url]).unwrap(wrapped) == SAID


def test_the_public_key_of_azure_wraps_here(recording: Recording, server: CloudServer) -> None:
    wrapped = AzureKeys([recording.url]).wrap(AzureRecipient(recording.url, recording.key), SAID, created_at=WHEN)
    assert wrapped.version == recording.version
    assert len(base64.urlsafe_b64decode(wrapped.enc + "==")) == 256
    assert not [each for each in server.seen if each.host == recording.host and each.method == "POST"]


def test_a_key_that_azure_does_not_find(recording: Recording) -> None:
    key = AzureKey(recording.url, "none", recording.version, WHEN, recording.of("encrypt").body["value"])
    with pytest.raises(DataKeyError, match=r"^no such key, or version of it, in the vault$") as caught:
        AzureKeys([recording.url]).unwrap(key)
    assert "recover" not in f"{caught.value.hint} {caught.value.facts}"  # a word of the recorded answer


@pytest.mark.parametrize("action", ["", "encrypt", "decrypt"])
def test_the_played_vault_answers_in_the_recorded_form(recording: Recording, action: str) -> None:
    """What test_keys_azure plays has no field that Azure has not, and none of another type."""
    played = Azure()
    path = f"/keys/app/{NEW}/{action}".rstrip("/")
    headers = {"authorization": f"Bearer {TOKEN}"}

    def ask(method: str, path: str, body: object = None) -> Answer:
        return played(Request(VAULT, method, f"{path}?api-version=7.4", headers, json.dumps(body).encode()))

    recorded = recording.of(action) if action else recording.of("create")
    if action:
        sealed = ask("POST", f"/keys/app/{NEW}/encrypt", recording.of("encrypt").request).body["value"]
        body = {**recording.of(action).request, **({"value": sealed} if action == "decrypt" else {})}
        answer = ask("POST", path, body)
    else:
        recorded, answer = Exchange("GET", (), None, 200, recording.bundle, ""), ask("GET", path)
    assert answer.status == recorded.status
    conforms(answer.body, recorded.body)
    conforms(ask("GET", "/keys/none").body, recording.missing.body)
    assert (answer.body.get("kid") or answer.body["key"]["kid"]).startswith(f"{PLAYED}/keys/app/")


def conforms(given: object, recorded: object) -> None:
    assert type(given) is type(recorded)
    if isinstance(given, dict) and isinstance(recorded, dict):
        assert set(given) <= set(recorded)
        for name, value in given.items():
            conforms(value, recorded[name])
