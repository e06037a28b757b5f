"""What a registry is shown: a user name and password out of a Secret, and the tokens that are given out for them.

The headers are made here, and go from here into a request alone.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

from agent.adapters.bounds import bodies
from agent.api.registries import DOCKER_HUB
from agent.engine.credentials import GitCredential
from agent.values.errors import LimitError, SourceError
from agent.values.reveal import reveal
from agent.values.secret import Secret
from agent.values.tree import get_object, get_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.values.tree import Object

CONFIG: Final = ".dockerconfigjson"
_LARGEST: Final = 16 * 1024
"""Characters of user name and password together, and of a token: headers that are longer are refused by servers too."""


def of_secret(data: Mapping[str, Secret], host: str) -> GitCredential:
    """The credential for a registry that a Secret holds. Raises SourceError."""
    authority = _text(data["ca.crt"], "ca.crt") if "ca.crt" in data else ""
    if CONFIG not in data:
        return GitCredential(
            _text(data["username"], "username") if "username" in data else "", data.get("password"), authority
        )
    username, password = _login(_entry(data[CONFIG], host), data[CONFIG].label)
    return GitCredential(username, password, authority)


def basic(login: GitCredential) -> Secret:
    """The value of the header Authorization. Raises SourceError."""
    password = "" if login.password is None else _text(login.password, "password")
    plain = f"{login.username}:{password}"
    if len(plain) > _LARGEST or ":" in login.username or any(char in plain for char in "\r\n\0"):
        raise SourceError(
            "the credential holds a line break or is too long",
            hint="store user name and password without a final newline",
            field="spec.source.oci.credentials",
        )
    return Secret("Basic " + base64.b64encode(plain.encode("utf-8", "surrogateescape")).decode(), "registry#login")


def bearer(body: bytes) -> Secret | None:
    """The same of a token server's answer; None where it holds no token."""
    found = get_object(bodies.tree(body))
    token = get_text(found, "token") or get_text(found, "access_token")
    if not token or len(token) > _LARGEST or not token.isascii() or not token.isprintable():
        return None
    return Secret(f"Bearer {token}", "registry#token")


def header(authorization: Secret) -> str:
    """For a request, and nothing else."""
    return str(reveal(authorization))


def _entry(config: Secret, host: str) -> Object:
    """What a Docker configuration has for a registry. Its keys are hosts, or URLs of the registry as older versions wrote them."""
    try:
        tree = bodies.tree(_bytes(config))
    except bodies.TooLargeError:
        raise LimitError("the Docker configuration of the credentials is too large", field=CONFIG) from None
    auths = get_object(tree, "auths")
    wanted = DOCKER_HUB if host in DOCKER_HUB else (host,)
    for key in auths:
        named = key.removeprefix("https://").removeprefix("http://").partition("/")[0]
        if named in wanted:
            return get_object(auths, key)
    raise SourceError(
        "the Secret with the credentials has none for this registry",
        hint="make it with: kubectl create secret docker-registry --docker-server=HOST",
        field=CONFIG,
        registry=host,
    )


def _login(entry: Object, label: str) -> tuple[str, Secret]:
    username, password = get_text(entry, "username"), get_text(entry, "password")
    if not username and "auth" in entry:
        try:
            plain = base64.b64decode(get_text(entry, "auth"), validate=True).decode()
        except (binascii.Error, ValueError):
            plain = ""
        username, _, password = plain.partition(":")
    if not username or not password:
        raise SourceError(
            "the Secret with the credentials holds no user name and password for this registry",
            hint="identity tokens and credential helpers are not supported; use a token as the password",
            field=CONFIG,
        )
    return username, Secret(password, label)


def _text(secret: Secret, field: str) -> str:
    try:
        return _bytes(secret).decode()
    except UnicodeDecodeError:
        raise SourceError("a key of the Secret with the credentials is not text", field=field) from None


def _bytes(secret: Secret) -> bytes:
    plain = reveal(secret)
    return plain if isinstance(plain, bytes) else str(plain).encode("utf-8", "surrogateescape")
