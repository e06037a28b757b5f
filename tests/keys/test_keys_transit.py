"""Data keys through a real transit engine, and through no other."""

from __future__ import annotations

import base64
import http.server
import json
import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
from cloud_server import Answer, CloudServer, Silence, slow_answers

from agent.adapters.keys import remote, transit
from agent.adapters.keys.transit import TransitKeys
from agent.sops.format.keys import AgeRecipient, TransitKey, TransitRecipient
from agent.values.errors import DataKeyError
from agent.values.secret import Secret
from testbed import binaries
from testbed.openbao import OpenBao

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA_KEY = Secret(b"canary-data-key-of-32-bytes-long", "data key")
WHEN = "2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def recipient(openbao: OpenBao) -> TransitRecipient:
    openbao.enable_transit(mount="team/sops")
    openbao.create_transit_key("app", mount="team/sops")
    return TransitRecipient(openbao.url, "team/sops", "app")


@pytest.fixture
def keys(openbao: OpenBao) -> TransitKeys:
    return TransitKeys([openbao.url + "/"], Secret(openbao.root_token, "token"))


def test_what_is_wrapped_is_unwrapped(keys: TransitKeys, recipient: TransitRecipient) -> None:
    wrapped = keys.wrap(recipient, DATA_KEY, created_at=WHEN)
    assert wrapped.enc.startswith("vault:v1:")
    assert keys.unwrap(wrapped) == DATA_KEY


def key(recipient: TransitRecipient, **changes: str) -> TransitKey:
    fields = {
        "vault_address": recipient.vault_address,
        "engine_path": recipient.engine_path,
        "key_name": recipient.key_name,
        "enc": "vault:v1:Y2FuYXJ5",
    }
    return TransitKey(created_at=WHEN, **{**fields, **changes})


def test_each_refusal_has_its_reason(openbao: OpenBao, keys: TransitKeys, recipient: TransitRecipient) -> None:
    denied = TransitKeys([openbao.url], Secret(openbao.token("default"), "token"))
    wrapped = keys.wrap(recipient, DATA_KEY, created_at=WHEN)
    cases = [
        (keys, key(recipient), "the server has no such transit key, or it did not make this wrapped key"),
        (
            keys,
            key(recipient, key_name="none"),
            "the server has no such transit key, or it did not make this wrapped key",
        ),
        (keys, key(recipient, engine_path="none"), "the server has no such transit engine"),
        (keys, key(recipient, engine_path="../sys"), "not the path of a transit key"),
        (keys, key(recipient, key_name="a?b"), "not the path of a transit key"),
        (denied, wrapped, "the server denies the use of this transit key"),
        (TransitKeys([openbao.url], None), wrapped, "no token for the server"),
        (TransitKeys([openbao.url], Secret("canär\ny", "token")), wrapped, "the token for the server is malformed"),
        (
            TransitKeys([openbao.url.replace("http:", "https:")], Secret("t", "t"), ca="/nonexistent"),
            key(recipient, vault_address=openbao.url.replace("http:", "https:")),
            "VAULT_CACERT, VAULT_CAPATH, VAULT_CLIENT_CERT or VAULT_CLIENT_KEY names what cannot be read",
        ),
        (
            TransitKeys(["https://127.0.0.1:1"], Secret("t", "t")),
            key(recipient, vault_address="https://127.0.0.1:1"),
            "the server does not answer",
        ),
    ]
    for held, wrong, reason in cases:
        with pytest.raises(DataKeyError) as caught:
            held.unwrap(wrong)
        assert caught.value.message == reason
        assert "canary" not in str(caught.value)
        assert caught.value.__cause__ is None
    with pytest.raises(DataKeyError):
        keys.wrap(AgeRecipient("age1"), DATA_KEY, created_at=WHEN)


def test_a_sealed_server_says_so(openbao: OpenBao, keys: TransitKeys, recipient: TransitRecipient) -> None:
    openbao.seal()
    try:
        with pytest.raises(DataKeyError, match="sealed"):
            keys.unwrap(key(recipient))
    finally:
        openbao.unseal()


class _Listener:
    """A server that records whether a client sent it anything, and answers as it is given."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        seen: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                seen.append(f"{self.path} {self.headers.get('X-Vault-Token')}")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

        self.seen = seen
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def thief() -> Iterator[_Listener]:
    listener = _Listener(200, {}, b"{}")
    yield listener
    listener.stop()


def test_an_address_that_the_user_did_not_name_is_not_dialled(
    thief: _Listener, keys: TransitKeys, recipient: TransitRecipient
) -> None:
    with pytest.raises(DataKeyError, match="names a server that you have not allowed"):
        keys.unwrap(key(recipient, vault_address=thief.url))
    with pytest.raises(DataKeyError, match="names a server that you have not allowed"):
        keys.wrap(TransitRecipient(thief.url, "transit", "app"), DATA_KEY, created_at=WHEN)
    assert not thief.seen


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_does_not_carry_the_token_along(thief: _Listener, recipient: TransitRecipient, status: int) -> None:
    front = _Listener(status, {"Location": f"{thief.url}/v1/transit/decrypt/app"}, b"")
    try:
        with pytest.raises(DataKeyError, match="redirects, which is not followed"):
            TransitKeys([front.url], Secret("token-canary", "t")).unwrap(key(recipient, vault_address=front.url))
    finally:
        front.stop()
    assert len(front.seen) == 1
    assert not thief.seen


def test_a_proxy_of_the_environment_is_not_used(
    thief: _Listener, keys: TransitKeys, recipient: TransitRecipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, thief.url)
    assert keys.unwrap(keys.wrap(recipient, DATA_KEY, created_at=WHEN)) == DATA_KEY
    assert not thief.seen


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>canary</html>",
        b"{}",
        b'{"data": null}',
        b'{"data": {"plaintext": 5}}',
        b'{"data": {"plaintext": "canary!"}}',
    ],
)
def test_an_answer_that_is_none_of_transit_s(recipient: TransitRecipient, body: bytes) -> None:
    server = _Listener(200, {"Content-Type": "application/json"}, body)
    try:
        with pytest.raises(DataKeyError) as caught:
            TransitKeys([server.url], Secret("t", "t")).unwrap(key(recipient, vault_address=server.url))
    finally:
        server.stop()
    assert "canary" not in str(caught.value)


def test_a_server_that_hangs_ends_with_a_reason(monkeypatch: pytest.MonkeyPatch, recipient: TransitRecipient) -> None:
    monkeypatch.setattr(transit, "_READ_SECONDS", 0.05)
    with Silence() as server, pytest.raises(DataKeyError) as caught:
        TransitKeys([server.url], Secret("t", "t")).unwrap(key(recipient, vault_address=server.url))
    assert caught.value.message == "the server does not answer"


def test_an_answer_that_drips_in_has_a_deadline(monkeypatch: pytest.MonkeyPatch, recipient: TransitRecipient) -> None:
    monkeypatch.setattr(remote, "DEADLINE_SECONDS", 0.05)
    with slow_answers() as server, pytest.raises(DataKeyError, match="in time"):
        TransitKeys([server.url], Secret("t", "t")).unwrap(key(recipient, vault_address=server.url))


def sops(*arguments: str, folder: Path, token: str) -> bytes:
    done = subprocess.run(
        [binaries.path("sops"), "--disable-version-check", *arguments],
        cwd=folder,
        env={**os.environ, "VAULT_TOKEN": token},
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_sops_opens_what_is_wrapped_here_and_the_other_way_round(
    openbao: OpenBao, keys: TransitKeys, recipient: TransitRecipient, tmp_path: Path
) -> None:
    """The file is sops'; its wrapped key is replaced by one for another key, made here."""
    openbao.create_transit_key("other", mount="team/sops")
    (tmp_path / "f.json").write_text('{"a": "hunter2"}')
    uri = f"{openbao.url}/v1/team/sops/keys/app"
    file = json.loads(sops("encrypt", "--hc-vault-transit", uri, "f.json", folder=tmp_path, token=openbao.root_token))
    entry = file["sops"]["hc_vault"][0]
    assert TransitRecipient(entry["vault_address"], entry["engine_path"], entry["key_name"]) == recipient
    data_key = keys.unwrap(key(recipient, enc=entry["enc"]))
    ours = keys.wrap(TransitRecipient(openbao.url, "team/sops", "other"), data_key, created_at=WHEN)
    entry.update(key_name=ours.key_name, created_at=ours.created_at, enc=ours.enc)
    (tmp_path / "f.json").write_text(json.dumps(file))
    assert json.loads(sops("decrypt", "f.json", folder=tmp_path, token=openbao.root_token)) == {"a": "hunter2"}


def test_the_namespace_goes_along(recipient: TransitRecipient) -> None:
    plaintext = base64.b64encode(b"k" * 32).decode()
    with CloudServer(lambda _: Answer(200, {"data": {"plaintext": plaintext}})) as server:
        keys = TransitKeys([server.url], Secret("t", "t"), namespace="team/a")
        assert keys.unwrap(key(recipient, vault_address=server.url)) == Secret(b"k" * 32, "")
        (request,) = server.seen
    assert request.headers["x-vault-namespace"] == "team/a"
    assert request.path == "/v1/team/sops/decrypt/app"


def test_a_private_ca_by_file_or_not_checked_at_all() -> None:
    with OpenBao(tls=True) as server:
        server.enable_transit()
        server.create_transit_key("app")
        token = Secret(server.root_token, "token")
        recipient = TransitRecipient(server.url, "transit", "app")
        with pytest.raises(DataKeyError, match="certificate is not trusted"):
            TransitKeys([server.url], token).wrap(recipient, DATA_KEY, created_at=WHEN)
        wrapped = TransitKeys([server.url], token, ca=str(server.ca_file)).wrap(recipient, DATA_KEY, created_at=WHEN)
        assert TransitKeys([server.url], token, skip_verify=True).unwrap(wrapped) == DATA_KEY
