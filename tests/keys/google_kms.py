"""Google Cloud KMS as its REST interface is described, for a CloudServer to answer with: two keys, with versions.

What it is sent and what it answers is held against Google's own description of the interface.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cloud_server import Answer, Request
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

DESCRIPTION = json.loads((Path(__file__).parents[1] / "vectors/google/cloudkms-v1.json").read_text())
TOKEN = "ya29.canary-token"
RESOURCE = "projects/example.com:shop/locations/europe-west1/keyRings/ring-1/cryptoKeys/signet"
ACCOUNT = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = "projects/p/locations/global/keyRings/r/cryptoKeys/other"


def refusal(code: int, status: str, *details: object) -> Answer:
    error = {"code": code, "status": status, "message": f"canary-text {TOKEN}"}
    return Answer(code, {"error": {**error, **({"details": list(details)} if details else {})}})


class Key:
    """A key whose newest version is the primary one."""

    def __init__(self) -> None:
        self._versions: list[AESGCM] = []
        self.disabled: set[int] = set()
        self.rotate()

    def rotate(self) -> int:
        """The number of the new version."""
        self._versions.append(AESGCM(secrets.token_bytes(32)))
        return len(self._versions)

    def encrypt(self, name: str, plaintext: bytes) -> Answer:
        number = len(self._versions)
        if number in self.disabled:
            return _disabled(name, number)
        nonce = secrets.token_bytes(12)
        sealed = bytes([number]) + nonce + self._versions[-1].encrypt(nonce, plaintext, None)
        answer = {"name": f"{name}/cryptoKeyVersions/{number}", "ciphertext": _text(sealed), "protectionLevel": "HSM"}
        return Answer(200, answer)

    def decrypt(self, name: str, ciphertext: bytes) -> Answer:
        number = ciphertext[0] if ciphertext else 0
        if not 0 < number <= len(self._versions):
            return refusal(400, "INVALID_ARGUMENT")
        if number in self.disabled:
            return _disabled(name, number)
        try:
            opened = self._versions[number - 1].decrypt(ciphertext[1:13], ciphertext[13:], None)
        except (InvalidTag, ValueError):
            return refusal(400, "INVALID_ARGUMENT")
        primary = number == len(self._versions)
        return Answer(200, {"plaintext": _text(opened), "usedPrimary": primary, "protectionLevel": "HSM"})


class Kms:
    """The two calls of Cloud KMS, and the token endpoint of OAuth for service accounts."""

    def __init__(self) -> None:
        self.keys = {name: Key() for name in (RESOURCE, OTHER)}

    def __call__(self, request: Request) -> Answer:
        if request.host == "oauth2.googleapis.com":
            return self._token(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return refusal(401, "UNAUTHENTICATED")
        name, _, action = urlsplit(request.path).path.removeprefix("/v1/").rpartition(":")
        if request.method != "POST" or action not in DESCRIPTION["methods"] or name not in self.keys:
            return refusal(404, "NOT_FOUND")
        asked(request, name, action)
        body, key = request.json(), self.keys[name]
        if action == "encrypt":
            answer = key.encrypt(name, base64.b64decode(body["plaintext"], validate=True))
        else:
            answer = key.decrypt(name, base64.b64decode(body["ciphertext"], validate=True))
        if answer.status == 200:
            conforms(answer.body, DESCRIPTION["methods"][action]["response"])
        return answer

    def _token(self, request: Request) -> Answer:
        form = parse_qs(request.body.decode())
        signed, _, signature = form["assertion"][0].rpartition(".")
        ACCOUNT.public_key().verify(_unpadded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        claims = json.loads(_unpadded(signed.partition(".")[2]))
        assert claims["iss"] == "signet@shop.iam.gserviceaccount.com"
        assert claims["scope"] in DESCRIPTION["methods"]["decrypt"]["scopes"]
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        return Answer(200, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})

    @staticmethod
    def service_account() -> str:
        pem = ACCOUNT.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "shop",
                "private_key_id": "1",
                "private_key": pem.decode(),
                "client_email": "signet@shop.iam.gserviceaccount.com",
                "client_id": "1",
                "token_uri": "https://oauth2.googleapis.com/token",
            }
        )


def asked(request: Request, name: str, action: str) -> None:
    """Whether the request is one that Google describes; its client for Go spells `alt` as `$alt` and repeats the name in the body."""
    method = DESCRIPTION["methods"][action]
    assert request.method == method["httpMethod"]
    assert re.fullmatch(method["parameters"]["name"]["pattern"], name)
    known = {each.removeprefix("$") for each in DESCRIPTION["parameters"]}
    assert {each.removeprefix("$") for each in parse_qs(urlsplit(request.path).query)} <= known
    assert request.headers["content-type"] == "application/json"
    body = request.json()
    assert body.pop("name", name) == name
    conforms(body, method["request"])


def conforms(given: Any, schema: dict[str, Any]) -> None:
    """Whether each field is one of the schema's, and of its type and format."""
    fields = DESCRIPTION["schemas"][schema["$ref"]]["properties"]
    assert set(given) <= set(fields)
    for name, value in given.items():
        field = fields[name]
        assert type(value) is {"string": str, "boolean": bool}[field["type"]]
        assert value in field.get("enum", [value])
        match field.get("format"):
            case "byte":
                base64.b64decode(value, validate=True)
            case "int64":
                int(value)


def _disabled(name: str, number: int) -> Answer:
    """As cloud.google.com/kms/docs/re-encrypt-data and google.rpc.PreconditionFailure have it."""
    version = f"{name}/cryptoKeyVersions/{number}"
    return refusal(
        400,
        "FAILED_PRECONDITION",
        {
            "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
            "violations": [{"type": "KEY_DISABLED", "subject": version}],
        },
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
