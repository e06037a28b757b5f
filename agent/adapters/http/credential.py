"""The secrets of webhooks, and whether a request was made by who knows one."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.api.webhooks import Webhook

LEAST: Final = 16
"""Bytes of a secret: a shorter one could be guessed."""
_LARGEST: Final = 4096
_SIGNED: Final = {
    "github": ("x-hub-signature-256", "sha256="),
    "gitea": ("x-gitea-signature", ""),
    "bitbucket": ("x-hub-signature", "sha256="),
    "generic": ("x-signature", "sha256="),
}
"""Header and prefix of the hex digits of HMAC-SHA256 over the body."""
_PLAIN: Final = {
    "gitlab": ("x-gitlab-token", ""),
    "registry": ("authorization", "Bearer "),
    "harbor": ("authorization", "Bearer "),
}
"""Header of the secret itself, and what may stand before it."""
_PARAMETER: Final = "token="
"""In the URL, for a sender that has no header."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What proves requests of one webhook. Its secret is read each time, and kept nowhere."""

    hook: Webhook

    def usable(self) -> bool:
        """Whether there is a secret that counts."""
        return len(self._read()) >= LEAST

    def holds(self, headers: Mapping[str, str], body: bytes, query: str = "") -> bool:
        """Whether a request is proven. It takes the same time whatever stands in the header, or in the `query` of the URL."""
        secret, sender = self._read(), self.hook.sender
        digest = hmac.digest(secret, body, "sha256").hex()
        if sender in _SIGNED:
            header, prefix = _SIGNED[sender]
            given, expected = headers.get(header, ""), f"{prefix}{digest}".encode()
        elif sender in _PLAIN:
            header, prefix = _PLAIN[sender]
            given, expected = headers.get(header, "").removeprefix(prefix), secret
        else:
            given, expected = query.removeprefix(_PARAMETER), secret
        same = hmac.compare_digest(_hashed(expected), _hashed(given.encode("latin-1")))
        return same and len(secret) >= LEAST

    def _read(self) -> bytes:
        try:
            with Path(self.hook.secret_file).open("rb") as file:
                return file.read(_LARGEST).rstrip(b"\r\n")
        except OSError:
            return b""


def _hashed(text: bytes) -> bytes:
    """Of one length, which the comparison would reveal otherwise."""
    return hashlib.sha256(text).digest()
