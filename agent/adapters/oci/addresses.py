"""Which servers may be reached: the form of an address, and the operator's list of hosts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agent.api.registries import DOCKER_HUB
from agent.values.errors import SourceError

if TYPE_CHECKING:
    from agent.api.registries import Servers

_DEFAULT_PORT: Final = {"https": "443", "http": "80"}
_DOCKER_HUB: Final = "registry-1.docker.io"
"""Docker Hub's name is not that of its registry."""
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%-]*")


@dataclass(frozen=True, slots=True)
class Address:
    """A repository that the operator lets the agent talk to. `origin` is `scheme://host[:port]`; `host` is as users write it."""

    url: str
    origin: str
    host: str
    repository: str


def check(url: str, settings: Servers) -> Address:
    """The repository at `oci://host/path`, which has its form. Raises SourceError where the operator does not allow the host."""
    host, _, repository = url.removeprefix("oci://").partition("/")
    asked = _DOCKER_HUB if host in DOCKER_HUB else host
    scheme = "http" if asked in settings.http_hosts else "https"
    if not allows(f"{scheme}://{asked}", settings):
        raise SourceError(
            "the operator does not allow this registry",
            hint="add the host to oci.allowedHosts in the operator's file",
            repository=url,
        )
    return Address(url, f"{scheme}://{asked}", host, repository)


def check_charts(url: str, settings: Servers) -> None:
    """Raises SourceError for a repository of charts that the operator does not allow."""
    if not allows(url, settings):
        raise SourceError(
            "the operator does not allow this repository of charts",
            hint="add the host to charts.allowedHosts in the operator's file",
            repository=url,
        )


def allows(url: str, settings: Servers) -> bool:
    """Whether the agent may ask a server for this URL: HTTPS, or HTTP where the operator says so, without user, and an allowed host."""
    origin = origin_of(url)
    if origin is None:
        return False
    scheme, _, host = origin.partition("://")
    plain = {_with_port(entry, "http") for entry in settings.http_hosts}
    allowed = {_with_port(entry, scheme) for entry in settings.allowed_hosts}
    return host in allowed and (scheme == "https" or host in plain)


def origin_of(url: str) -> str | None:
    """`scheme://host:port`, the port always written out; None for what is no URL to ask a server for."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    usable = parts.scheme in _DEFAULT_PORT and host and "@" not in parts.netloc and url.isascii() and url.isprintable()
    if not usable or not all(_SEGMENT.fullmatch(each) for each in parts.path.split("/")):
        return None
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}:{port or _DEFAULT_PORT[parts.scheme]}"


def _with_port(entry: str, scheme: str) -> str:
    host, colon, port = entry.rpartition(":")
    if colon and port.isdecimal() and not host.endswith(":"):
        return f"{host}:{int(port)}"
    return f"{entry}:{_DEFAULT_PORT[scheme]}"
