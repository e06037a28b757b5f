"""What a server of Vault or OpenBao said, or why it said nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal

from agent.values.tree import Object, get_object

Method = Literal["get", "post", "list"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said: a status below 500 other than 3xx and 429. `body` is confidential."""

    status: int
    body: Object

    @property
    def data(self) -> Object:
        """`data` of the body; empty where it is null or no map."""
        return get_object(self.body, "data")


class Why(Enum):
    """Why there is no answer."""

    UNREACHABLE = auto()
    TOO_SLOW = auto()
    UNTRUSTED = auto()
    UNREADABLE_FILE = auto()
    """A file of the authority, or of the client's certificate, cannot be read."""
    TOO_LARGE = auto()
    ENCODED = auto()
    REDIRECTED = auto()
    PROXY = auto()
    """A proxy between does not answer, or refuses with a status."""
    PROXY_FILE = auto()
    """The file with the proxy's user name and password cannot be read."""
    SEALED = auto()
    FAILING = auto()
    """429 or 5xx: overloaded, a standby or broken."""
    NOT_JSON = auto()


class NoAnswerError(Exception):
    """Internal to who asks a server, who says it in words of its own."""

    def __init__(self, why: Why, status: int | None = None) -> None:
        super().__init__(why.name)
        self.why: Final = why
        self.status: Final = status
