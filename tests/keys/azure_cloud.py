"""Azure's sign-in of one application, and a vault as its REST interface is documented, for a CloudServer to answer with."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from cloud_server import Answer, CloudServer, Request, forget
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

# The tenant of the recordings; the SDK refuses a sign-in to another one.
TENANT, CLIENT = "72f988bf-86f1-41af-91ab-2d7cd011db47", "22222222-2222-2222-2222-222222222222"
PASSWORD, TOKEN = "canary-client-secret", "canary.access.token"
VAULT, LOGIN = "signet.vault.azure.net", "login.microsoftonline.com"
URL = f"https://{VAULT}"
OLD, NEW = "0" * 32, "1" * 32
VERSIONS = {each: rsa.generate_private_key(public_exponent=65537, key_size=2048) for each in (OLD, NEW)}
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def refusal(status: int, code: str, inner: str = "") -> Answer:
    """As learn.microsoft.com/azure/key-vault/general/rest-error-codes has it."""
    error = {"code": code, "message": f"canary-text {TOKEN}", **({"innererror": {"code": inner}} if inner else {})}
    return Answer(status, {"error": error})


def sign_in(request: Request, resource: str = "https://vault.azure.net") -> Answer:
    """Gives the token to who knows the application's secret and asks for that resource."""
    address = urlsplit(request.path)
    base = f"https://{LOGIN}/{TENANT}"
    if address.path == "/common/discovery/instance":
        names = [{"preferred_network": LOGIN, "preferred_cache": LOGIN, "aliases": [LOGIN]}]
        endpoint = f"{base}/v2.0/.well-known/openid-configuration"
        return Answer(200, {"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": names})
    if address.path.endswith("/.well-known/openid-configuration"):
        return Answer(
            200,
            {
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "issuer": f"{base}/v2.0",
            },
        )
    assert address.path == f"/{TENANT}/oauth2/v2.0/token"
    form = parse_qs(request.body.decode())
    assert f"{resource}/.default" in form["scope"][0]
    if form["client_id"] != [CLIENT] or form["client_secret"] != [PASSWORD]:
        return Answer(401, {"error": "invalid_client", "error_description": f"canary-text {form['client_secret']}"})
    return Answer(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": TOKEN})


class Azure:
    """One vault with two versions of one key, and the sign-in."""

    def __init__(self) -> None:
        self.versions = VERSIONS
        self.disabled: set[str] = set()
        self.may_get = True
        self.refuses: Answer | None = None

    def __call__(self, request: Request) -> Answer:  # noqa: PLR0911  # one per call of the interface
        if request.host == LOGIN:
            return sign_in(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            challenge = f'Bearer authorization="https://{LOGIN}/{TENANT}", resource="https://vault.azure.net"'
            error = {"code": "Unauthorized", "message": "canary-text"}
            return Answer(401, {"error": error}, {"WWW-Authenticate": challenge})
        if self.refuses is not None:
            return self.refuses
        address = urlsplit(request.path)
        assert parse_qs(address.query)["api-version"]
        match address.path.strip("/").split("/"), request.method:
            case ["keys", "app"], "GET":
                return self._get(NEW)
            case ["keys", "app", version], "GET" if version in self.versions:
                return self._get(version)
            case ["keys", "app", version, "encrypt" | "decrypt" as action], "POST" if version in self.versions:
                return self._apply(version, action, request.json())
            case _:
                return refusal(404, "KeyNotFound")

    def _get(self, version: str) -> Answer:
        if not self.may_get:
            return refusal(403, "Forbidden", "ForbiddenByPolicy")
        numbers = self.versions[version].public_key().public_numbers()
        key = {
            "kid": f"{URL}/keys/app/{version}",
            "kty": "RSA",
            "key_ops": ["encrypt", "decrypt"],
            "n": text(numbers.n.to_bytes(256, "big")),
            "e": text(numbers.e.to_bytes(3, "big")),
        }
        return Answer(200, {"key": key, "attributes": {"enabled": version not in self.disabled}})

    def _apply(self, version: str, action: str, body: dict[str, str]) -> Answer:
        assert set(body) == {"alg", "value"}
        assert body["alg"] == "RSA-OAEP-256"
        if version in self.disabled:
            return refusal(403, "Forbidden", "KeyDisabled")
        key = self.versions[version]
        given = base64.urlsafe_b64decode(body["value"] + "==")
        try:
            made = key.public_key().encrypt(given, OAEP) if action == "encrypt" else key.decrypt(given, OAEP)
        except ValueError:
            return refusal(400, "BadParameter")
        return Answer(200, {"kid": f"{URL}/keys/app/{version}", "value": text(made)})


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed_in(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """An application's secret in the environment, and nothing else of Azure's."""
    forget(monkeypatch, "AZURE_", "IDENTITY_", "MSI_", "IMDS_")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", PASSWORD)


def reach(server: CloudServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both the Python and the Go world take the proxy and the certificates from the environment."""
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_file))
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
