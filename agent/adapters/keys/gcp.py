"""Data keys through Google Cloud KMS: Google's own library for credentials, and the two calls of its REST interface.

Credentials, as sops takes them: GOOGLE_CREDENTIALS (a file or its JSON), GOOGLE_OAUTH_ACCESS_TOKEN, else those that are found by
default. SOPS_GCP_KMS_ENDPOINT and SOPS_GCP_KMS_UNIVERSE_DOMAIN name another address. Why not the client for gRPC: decision 16.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

from agent.adapters.keys.credential import data_key_bytes
from agent.adapters.keys.remote import silence, within_deadline
from agent.sops.format.keys import GcpKmsKey, GcpKmsRecipient
from agent.values.errors import DataKeyError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from agent.sops.format.keys import Recipient, WrappedKey

_NAME = r"[A-Za-z0-9_-]+"
_PROJECT = r"[A-Za-z0-9_-][A-Za-z0-9_.:-]*"
"""With its domain, where it has one: `example.com:project`."""
_RESOURCE = re.compile(rf"projects/{_PROJECT}/locations/{_NAME}/keyRings/{_NAME}/cryptoKeys/{_NAME}")
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_READ_SECONDS = 10
_WHOLE_SECONDS = 20

_REASONS: dict[str, LiteralString] = {
    "UNAUTHENTICATED": "Google does not accept the credentials",
    "PERMISSION_DENIED": "Google denies the use of this key, or it does not exist",
    "NOT_FOUND": "no such key in Google Cloud KMS",
    "INVALID_ARGUMENT": "this key did not make the wrapped key, or it is not one for encryption",
    "FAILED_PRECONDITION": "the key, or the version of it that was used, is disabled or destroyed",
    "RESOURCE_EXHAUSTED": "Google is too busy",
    "UNAVAILABLE": "Google is too busy",
}
"""By the status of an answer: cloud.google.com/apis/design/errors."""
_PROBLEMS: dict[str, tuple[LiteralString, LiteralString]] = {
    "DefaultCredentialsError": ("no Google credentials", "gcloud auth application-default login"),
    "MalformedError": ("the Google credentials are malformed", ""),
    "ReauthFailError": ("the Google sign-in has expired", "gcloud auth application-default login"),
    "TransportError": ("Google does not answer", ""),
    "GoogleAuthError": ("Google does not accept the credentials", ""),
    "SSLError": ("the server's certificate is not trusted", ""),
    "RequestException": ("Google does not answer", ""),
    "TooLargeError": ("Google does not answer", ""),
}
"""By the class of the library's exception, or one of its bases, the first that stands here."""


class GcpKeys:
    """Keys of Google Cloud KMS, with the credentials of the environment."""

    def __init__(self) -> None:
        self._session: Any = None

    def unwrap(self, key: WrappedKey) -> Secret:
        """Raises DataKeyError."""
        if not isinstance(key, GcpKmsKey):
            raise DataKeyError("not a Google Cloud KMS key")
        try:
            base64.b64decode(key.enc, validate=True)
        except (binascii.Error, ValueError):
            raise DataKeyError("the wrapped key is damaged") from None
        answer = self._call(key.resource_id, "decrypt", {"ciphertext": key.enc})
        return Secret(_bytes(answer, "plaintext"), f"data key by gcp_kms {key.resource_id}")

    def wrap(self, recipient: Recipient, data_key: Secret, *, created_at: str) -> GcpKmsKey:
        """Raises DataKeyError."""
        if not isinstance(recipient, GcpKmsRecipient):
            raise DataKeyError("not a Google Cloud KMS recipient")
        plaintext = base64.b64encode(data_key_bytes(data_key)).decode()
        try:
            answer = self._call(recipient.resource_id, "encrypt", {"plaintext": plaintext})
            enc = base64.b64encode(_bytes(answer, "ciphertext")).decode()
        except DataKeyError as error:
            raise error.with_facts(recipient=recipient.resource_id) from None
        return GcpKmsKey(recipient.resource_id, created_at, enc)

    def _call(self, resource: str, action: str, body: dict[str, str]) -> object:
        if not _RESOURCE.fullmatch(resource):
            raise DataKeyError(
                "not the resource ID of a key",
                hint="it has the form projects/P/locations/L/keyRings/R/cryptoKeys/K",
            )
        try:
            # Late, because it is large, and an extra.
            import google.auth.transport.requests  # noqa: F401  # pyright: ignore[reportUnusedImport]
        except ImportError:
            raise DataKeyError("Google Cloud KMS keys need the gcp extra", hint="pip install 'signet[gcp]'") from None
        silence("google", "urllib3")
        # It warns of credentials without a quota project, and of ways to name them that are sops'.
        warnings.filterwarnings("ignore", module=r"google\.")
        try:
            return within_deadline(lambda: self._request(resource, action, body))
        except DataKeyError:
            raise
        except Exception as error:  # noqa: BLE001  # of the library, or of a file of the user's
            reason, hint = _why(error)
        raise DataKeyError(reason, hint=hint)

    def _request(self, resource: str, action: str, body: dict[str, str]) -> object:
        from google.auth.transport.requests import AuthorizedSession, Request
        from requests import Session

        from agent.adapters.bounds import answers, bodies

        if self._session is None:
            credentials = _credentials()
            signing_in = Session()
            authorized = AuthorizedSession(credentials, auth_request=Request(signing_in))
            for each in (signing_in, authorized):
                answers.mount(each)
            self._session = (authorized, _endpoint(credentials))
        session, endpoint = self._session
        response = session.post(
            f"{endpoint}/v1/{resource}:{action}",
            json=body,
            timeout=_READ_SECONDS,
            max_allowed_time=_WHOLE_SECONDS,
            allow_redirects=False,
        )
        answer: object = bodies.tree(response.content)
        if response.status_code == 200:
            return answer
        match answer:
            case {"error": {"status": str(status)}}:
                reason = _REASONS.get(status, "Google refuses")
            case _:
                reason = "the server's answer is not Google Cloud KMS's"
        raise DataKeyError(reason)


def _credentials() -> Any:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError
    from google.oauth2.credentials import Credentials

    given = os.environ.get("GOOGLE_CREDENTIALS")
    if given:
        try:
            where = Path(given)
            found: object = json.loads(where.read_bytes() if os.path.exists(given) else given)  # noqa: PTH110  # text may be too long for a path
            return google.auth.load_credentials_from_dict(found, scopes=_SCOPES)[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        except (OSError, ValueError, DefaultCredentialsError):
            raise DataKeyError("GOOGLE_CREDENTIALS is neither a file of credentials nor their JSON") from None
    token = os.environ.get("GOOGLE_OAUTH_ACCESS_TOKEN")
    if token:
        return Credentials(token)  # pyright: ignore[reportUnknownVariableType]
    return google.auth.default(scopes=_SCOPES)[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _endpoint(credentials: Any) -> str:
    given = os.environ.get("SOPS_GCP_KMS_ENDPOINT")
    if given:
        # For gRPC it is a host and a port.
        return (given if "://" in given else f"https://{given}").rstrip("/")
    universe = os.environ.get("SOPS_GCP_KMS_UNIVERSE_DOMAIN") or credentials.universe_domain
    return f"https://cloudkms.{universe}"


def _why(error: Exception) -> tuple[LiteralString, LiteralString]:
    names = [each.__name__ for each in type(error).__mro__]
    return next(
        (_PROBLEMS[name] for name in names if name in _PROBLEMS),
        ("the Google credentials are not usable", "gcloud auth application-default print-access-token says more"),
    )


def _bytes(answer: object, field: str) -> bytes:
    match answer:
        case {**fields} if isinstance(found := fields.get(field), str):  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
            text = found
        case _:
            text = ""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise DataKeyError("the server's answer is not Google Cloud KMS's")
    return data
