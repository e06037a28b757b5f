"""Which repositories may be reached: the URL's form and the operator's list of hosts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.values.errors import SourceError

if TYPE_CHECKING:
    from agent.api.operator import GitSettings

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:@/%-]*)?",
    re.ASCII,
)
_DEFAULT_PORT: Final = {"https": "443", "http": "80"}


@dataclass(frozen=True, slots=True)
class Address:
    """A repository that the operator lets the agent talk to. `origin` is `scheme://host[:port]` as the URL writes it."""

    url: str
    scheme: str
    origin: str


def check(url: str, settings: GitSettings) -> Address:
    """The address, if it is one to talk to. Raises SourceError, which shows the URL only if its form rules out a password."""
    match = _URL.fullmatch(url)
    if match is None or ".." in (match["path"] or "").split("/"):
        raise SourceError(
            "not a Git address that the agent accepts",
            hint="write https://host/path, without user, password, query and fragment",
            field="spec.source.url",
        )
    scheme, host, port = match["scheme"], match["host"].lower(), match["port"]
    if scheme == "http" and not settings.allow_http:
        raise SourceError(
            "plain HTTP is not allowed",
            hint="use https, or set git.allowHttp in the operator's file",
            repository=url,
        )
    allowed = {_with_port(entry, scheme) for entry in settings.allowed_hosts}
    if (host, str(int(port)) if port else _DEFAULT_PORT[scheme]) not in allowed:
        raise SourceError(
            "the operator does not allow this Git host",
            hint="add the host to git.allowedHosts in the operator's file",
            repository=url,
        )
    return Address(url, scheme, f"{scheme}://{match['host']}" + (f":{port}" if port else ""))


def _with_port(entry: str, scheme: str) -> tuple[str, str]:
    host, colon, port = entry.rpartition(":")
    if colon and port.isdecimal() and not host.endswith(":"):
        return host.lower(), str(int(port))
    return entry.lower(), _DEFAULT_PORT[scheme]
