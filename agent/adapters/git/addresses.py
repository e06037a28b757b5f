"""Which repositories may be reached: the URL's form and the operator's list of hosts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.values.errors import SourceError

if TYPE_CHECKING:
    from agent.api.operator import GitSettings

_HOST: Final = r"(?P<host>\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)"
_PORT: Final = r"(?::(?P<port>[0-9]{1,5}))?"
_USER: Final = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}@"
_PATH: Final = r"[A-Za-z0-9._~!$&'()*+,;=:@/%-]*"
_FORMS: Final = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"(?P<scheme>https?)://{_HOST}{_PORT}(?P<path>/{_PATH})?",
        rf"(?P<scheme>ssh)://{_USER}{_HOST}{_PORT}(?P<path>/{_PATH})",
        # the path goes to the server as it is, where a dash would begin an option; `//` would make it a URL
        rf"(?P<scheme>){_USER}{_HOST}(?P<port>):(?P<path>/?[A-Za-z0-9._~]{_PATH})",
    )
)
_DEFAULT_PORT: Final = {"https": "443", "http": "80", "ssh": "22"}
_LARGEST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """A repository that the operator lets the agent talk to. `origin` is `scheme://host[:port]` as the URL writes it."""

    url: str
    scheme: str
    origin: str


def check(url: str, settings: GitSettings) -> Address:
    """The address, if it is one to talk to. Raises SourceError, which shows the URL only if its form rules out a password."""
    match = next((match for form in _FORMS if (match := form.fullmatch(url))), None)
    if match is None or ".." in (match["path"] or "").split("/") or not 0 < int(match["port"] or 1) <= _LARGEST_PORT:
        raise SourceError(
            "not a Git address that the agent accepts",
            hint="write https://host/path, ssh://user@host/path or user@host:path, without password, query and fragment",
            field="spec.source.url",
        )
    scheme, host, port = match["scheme"] or "ssh", match["host"].lower(), match["port"]
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


def is_ssh(url: str) -> bool:
    """Whether a repository is reached over SSH: `ssh://user@host/path`, or `user@host:path` as scp(1) writes it."""
    return "://" not in url or url.startswith("ssh://")


def _with_port(entry: str, scheme: str) -> tuple[str, str]:
    host, colon, port = entry.rpartition(":")
    if colon and port.isdecimal() and not host.endswith(":"):
        return host.lower(), str(int(port))
    return entry.lower(), _DEFAULT_PORT[scheme]
