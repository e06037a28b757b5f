"""The agent's own credential for the API server: where a bearer token comes from, and the header that it becomes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from agent.values import derive, system
from agent.values.errors import ConfigError
from agent.values.reveal import reveal
from agent.values.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path


_LOOK_SECONDS = 5.0


class Authorization(Protocol):
    """The value of the Authorization header; None where a client certificate says who it is."""

    async def __call__(self, *, refresh: bool) -> Secret | None:
        """`refresh` asks for a new one, after a 401. Raises ConfigError where there is none."""
        ...


def header(secret: Secret) -> str:
    """The text that is sent."""
    value = reveal(secret)
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise ConfigError("the API server token is not a text that a header can hold", label=secret.label)
    return value


def bearer(token: Secret) -> Secret:
    """`Bearer <token>`."""
    return derive.concat(["Bearer ", token])


@dataclass(frozen=True, slots=True)
class NoToken:
    """A client certificate, or nothing at all."""

    async def __call__(self, *, refresh: bool) -> Secret | None:
        del refresh
        return None


@dataclass(slots=True)
class TokenFile:
    """A projected ServiceAccount token: the kubelet replaces the file, so it is read when it changes."""

    path: Path
    _stamp: tuple[int, int] = (0, 0)
    _header: Secret | None = field(default=None, repr=False)
    _looked: float = float("-inf")

    async def __call__(self, *, refresh: bool) -> Secret | None:
        if refresh or self._header is None or time.monotonic() - self._looked > _LOOK_SECONDS:
            self._header = await asyncio.to_thread(self._read, refresh)
            self._looked = time.monotonic()
        return self._header

    def _read(self, refresh: bool) -> Secret:
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if self._header is None or refresh or stamp != self._stamp:
                token = Secret(self.path.read_text("ascii").strip(), f"file:{self.path}")
                self._stamp = stamp
                return bearer(token)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                "the ServiceAccount token cannot be read", file=str(self.path), cause=system.cause(error)
            ) from None
        return self._header
