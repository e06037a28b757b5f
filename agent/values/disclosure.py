"""Where a value becomes clear text on purpose: a variable that both the Application and the operator disclose, and a certificate without its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values import derive
from agent.values.reveal import reveal

if TYPE_CHECKING:
    from agent.values.secret import Secret


def public(secret: Secret) -> str:
    """What was never secret, such as a certificate that was read from a Secret, as text. Raises SecretValueError for bytes that are no text."""
    return str(reveal(derive.text(secret)))


def disclosed(secret: Secret) -> str:
    """The value as text, without its line breaks, as Flux has those of clear variables. Raises SecretValueError for bytes that are no text."""
    return str(reveal(derive.text(secret))).replace("\n", "")
