"""What the operator's proxy is shown: user name and password from a file that is read each time, and kept nowhere."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.values.errors import SourceUnavailableError

if TYPE_CHECKING:
    from agent.api.proxies import Proxy

_LARGEST: Final = 4096
REFUSED: Final = "the operator's proxy wants another user name and password"
REFUSED_HINT: Final = "check proxy.credentialsFile in the operator's file"
CLOSED: Final = "the operator's proxy does not lead to the server"
UNREADABLE: Final = "the file with the proxy's credentials cannot be read, or is not user:password on one line"
UNREADABLE_HINT: Final = "mount it where proxy.credentialsFile of the operator's file says"


def request(proxy: Proxy | None, host: str) -> tuple[str | None, dict[str, str] | None]:
    """The proxy's address and the headers for it alone, where a host is reached through one. Raises SourceUnavailableError."""
    if proxy is None or not proxy.of(host):
        return None, None
    shown = login(proxy, host)
    if shown is None:
        return proxy.url, None
    return proxy.url, {"Proxy-Authorization": "Basic " + base64.b64encode(":".join(shown).encode()).decode()}


def login(proxy: Proxy | None, host: str) -> tuple[str, str] | None:
    """User name and password; None where a host is reached directly, or the proxy asks for none. Raises SourceUnavailableError."""
    if proxy is None or proxy.credentials_file is None or not proxy.of(host):
        return None
    try:
        with Path(proxy.credentials_file).open("rb") as file:
            text = file.read(_LARGEST + 1).rstrip(b"\r\n").decode()
    except (OSError, UnicodeDecodeError):
        text = ""
    user, colon, password = text.partition(":")
    if not user or not colon or not text.isprintable() or len(text) > _LARGEST:
        raise SourceUnavailableError(UNREADABLE, hint=UNREADABLE_HINT, file=proxy.credentials_file)
    return user, password


def refusal(status: int) -> SourceUnavailableError:
    """For a proxy's answer that is none of the server's."""
    if status == 407:
        return SourceUnavailableError(REFUSED, hint=REFUSED_HINT)
    return SourceUnavailableError(CLOSED, status=status)
