"""Where key material is read, to be given to the libraries that use it. Nothing else in this package reveals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values.errors import ConfigError
from agent.values.reveal import reveal

if TYPE_CHECKING:
    from agent.values.secret import Secret


def key_text(secret: Secret) -> str:
    """Private keys or a token, as text. Raises ConfigError for what is not UTF-8."""
    value = reveal(secret)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ConfigError("a key is not text", source=secret.label) from None
    if not isinstance(value, str):
        raise ConfigError("a key is not text", source=secret.label)
    return value


def data_key_bytes(secret: Secret) -> bytes:
    """A data key, to be wrapped."""
    value = reveal(secret)
    if not isinstance(value, bytes):
        raise TypeError("a data key is bytes")
    return value
