"""The proxy between the agent and servers of Git, registries, charts and stores."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from agent.api.fields import FilePath
from agent.api.model import Model
from agent.values.patterns import name_matches

_HostPattern = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9*:.\[\]-]+$")]


class Proxy(Model):
    """An HTTP proxy. Connections over TLS are opened through it by CONNECT, so it sees names of hosts and nothing that is said to them."""

    url: Annotated[
        str,
        StringConstraints(
            max_length=300, pattern=r"^http://(\[[0-9a-f:]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[0-9]{1,5})?$"
        ),
    ]
    """Its address, as `http://proxy.example.com:3128`."""
    credentials_file: FilePath | None = None
    """What a proxy that asks for a password is shown, by HTTP's *Basic*: `user:password` on one line of a file that is read for each connection."""
    direct: Annotated[tuple[_HostPattern, ...], Field(max_length=64)] = ()
    """Hosts that are reached without it, such as `*.svc`; `*` stands for any run of characters. `.svc` is the same, as in NO_PROXY. Ports do not count."""

    def of(self, host: str) -> str:
        """What a host is reached by; empty for a direct connection."""
        return "" if any(_covers(pattern, host.lower().strip("[]")) for pattern in self.direct) else self.url


def _covers(pattern: str, host: str) -> bool:
    return name_matches(f"*{pattern}" if pattern.startswith(".") else pattern.strip("[]"), host)
