"""GitHub Apps: what their Secrets hold, and what an App signs to ask for a token (docs.github.com, "Generating a JSON Web Token for a GitHub App").

The keys of a Secret are Flux's. `github_api` asks, `installation_tokens` keeps what was handed out.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Final, LiteralString

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from agent.adapters.bounds import rsa_keys
from agent.values.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS: Final = ("githubAppID", "githubAppInstallationID", "githubAppPrivateKey", "githubAppBaseURL")
_NUMBER: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_BASE: Final = re.compile(r"(https://([A-Za-z0-9.-]{1,253})(?::[0-9]{1,5})?)(/api/v3)?/?", re.ASCII)
_HOST: Final = re.compile(r"https?://([A-Za-z0-9.-]+)(?=[:/]|$)", re.ASCII)
_PUBLIC: Final = "https://api.github.com"
_SMALLEST: Final = 2048
_LONGEST: Final = 16 * 1024
"""Bytes of a key's text: one of 8192 bits has less than half."""
_UNREADABLE: Final = (ValueError, TypeError, ZeroDivisionError, OverflowError, UnsupportedAlgorithm)
_EARLIER: Final = 60
"""Seconds by which the agent's clock may be ahead of GitHub's."""
_VALID: Final = 9 * 60
"""Seconds; GitHub takes ten minutes at most."""


def number(text: str, field: LiteralString) -> str:
    """The number of an App or an installation. Raises SourceError."""
    found = text.strip()
    if _NUMBER.fullmatch(found) is None:
        raise SourceError(
            "the Secret with the credentials lacks a number of the GitHub App",
            hint="GitHub shows the App's ID in its settings, and the installation's at the end of the URL of its page",
            field=field,
        )
    return found


def tokens_url(base: str, installation: str) -> str:
    """Where tokens are asked for. `base` is that of GitHub Enterprise, with `/api/v3` or without; empty: GitHub. Raises SourceError."""
    match = _BASE.fullmatch(base.strip() or _PUBLIC)
    if match is None:
        raise SourceError(
            "the address of GitHub is not one that the agent accepts",
            hint="write https://github.example.com, or nothing for github.com",
            field=KEYS[3],
        )
    origin, host, path = match.groups()
    # hosts of the API alone have it at their root
    root = path or ("" if host.lower().startswith("api.") else "/api/v3")
    return f"{origin}{root}/app/installations/{installation}/access_tokens"


def check_host(tokens: str, url: str) -> None:
    """Raises SourceError where a repository is not on the host that hands out tokens: that host alone is shown them, whatever an Application names."""
    asked, host = (match[1].lower() if (match := _HOST.match(each)) else "" for each in (tokens, url))
    if not host or host not in {asked, asked.removeprefix("api.")}:
        raise SourceError(
            "the GitHub App of the credentials is not for the host of this repository",
            hint="its tokens are for github.com, or for the host of githubAppBaseURL",
            field=KEYS[3],
            host=host,
        )


def unlock(text: bytes) -> bytes:
    """PKCS #8 in DER of an App's key, which is the same for the same key. Raises SourceError."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # with the first key

    if len(text) > _LONGEST:
        raise _refused("the private key of the GitHub App is too long to be one")
    try:
        # to look for the factors of an RSA key's factors takes minutes; GitHub finds out whether it serves
        key = serialization.load_pem_private_key(text, None, unsafe_skip_rsa_key_validation=True)
    except _UNREADABLE:
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise _refused("the private key of the GitHub App cannot be read, or is not RSA")
    if not _SMALLEST <= key.key_size <= rsa_keys.LARGEST:
        raise _refused("the private key of the GitHub App is too small or too large")
    try:
        rsa_keys.check(key)
    except ValueError:
        raise _refused("the private key of the GitHub App is damaged") from None
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def assertion(der: bytes, app: str, now: float) -> str:
    """A JSON Web Token (RFC 7519, RS256 of RFC 7518) that an App signs at `now` of Unix time. `der` is what `unlock` gave."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # as above

    key = serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)
    claims = {"iat": int(now) - _EARLIER, "exp": int(now) + _VALID, "iss": app}
    signed = f"{_json({'alg': 'RS256', 'typ': 'JWT'})}.{_json(claims)}"
    return f"{signed}.{_base64(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def _json(value: Mapping[str, object]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _refused(message: LiteralString) -> SourceError:
    return SourceError(
        message, hint="it is the whole file that GitHub made: an RSA key of 2048 to 8192 bits in PEM", field=KEYS[2]
    )
