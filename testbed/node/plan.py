"""Names and addresses: where the servers of the testbed, each node and its pods are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SERVERS: Final = "10.90.0.1"
"""The address at which nodes and pods find the API server, OpenBao and Git."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node's place in the network: its own address, that of its gateway, and the network of its pods."""

    number: int

    @property
    def name(self) -> str:
        return f"node-{self.number}"

    @property
    def address(self) -> str:
        return f"10.90.{self.number + 1}.2"

    @property
    def gateway(self) -> str:
        return f"10.90.{self.number + 1}.1"

    @property
    def pods(self) -> str:
        return f"10.244.{self.number}.0/24"
