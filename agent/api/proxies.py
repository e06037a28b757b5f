"""The proxy between the agent and servers of Git, registries and charts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

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
    """Its address, as `http://proxy.example.com:3128`. One that asks for a password is not supported."""
    direct: Annotated[tuple[_HostPattern, ...], Field(max_length=64)] = ()
    """Hosts that are reached without it, such as `*.svc`; `*` stands for any run of characters."""

    def of(self, host: str) -> str:
        """What a host is reached by; empty for a direct connection."""
        return "" if any(name_matches(pattern, host.lower()) for pattern in self.direct) else self.url
