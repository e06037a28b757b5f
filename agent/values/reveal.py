"""The only door to plaintext. Which modules may import it is an import contract (see docs/architecture.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.values.secret import Plain, Secret


def reveal(secret: Secret) -> Plain:
    """The plaintext scalar of `secret`."""
    return secret._plaintext  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
