"""What the engine asks of those that make values: passwords, keys and certificates, each once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.values.generated import Generation
    from agent.values.secret import Secret


@dataclass(frozen=True, slots=True)
class Validity:
    """When a certificate begins and ends to be valid, in Unix seconds."""

    begins: float
    ends: float

    @property
    def due(self) -> float:
        """When it is renewed: at two thirds of its life."""
        return self.begins + (self.ends - self.begins) * 2 / 3


class GeneratorPort(Protocol):
    """All of these take processor time, up to seconds for a key."""

    def make(
        self, asked: Generation, args: Sequence[str | Secret], labels: Mapping[str, str], now: float
    ) -> Mapping[str, Secret]:
        """The parts that a call gives, by name, each with its label: `cert` and `key` of a certificate, else one without a name.

        `args` are those of `asked` with values in the place of placeholders, `now` is in Unix seconds. Raises RandomValueError, and
        SecretValueError for a value that is not what the function takes.
        """
        ...

    def validity(self, certificate: Secret, key: Secret | None) -> Validity | None:
        """Of a certificate in PEM; None where it is none, has anything beside it, or is not of the key."""
        ...

    def issued(self, certificate: Secret, issuer: Secret) -> bool:
        """Whether one certificate was signed by another."""
        ...
