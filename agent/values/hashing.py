"""Salts of the hashes that charts ask for: the same password at the same place has the same hash each time, and nowhere else that one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values import derive
from agent.values.dataclass import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.values.fingerprint import Fingerprinter
    from agent.values.secret import Secret


@dataclass(frozen=True, slots=True)
class Salts:
    """Those of an Application, a uid. `standing` are hashes by the place where they stand, which are kept while they are of the same value."""

    fingerprints: Fingerprinter
    application: str
    standing: Mapping[str, Sequence[Secret]] = field(default_factory=dict[str, "Sequence[Secret]"], repr=False)

    def hashed(self, value: Secret, place: str) -> Secret:
        """What `bcrypt` gives. Raises SecretValueError."""
        salt = self.fingerprints.salt(self.application, place, value)
        return derive.hashed(value, salt, self.standing.get(place, ()))
