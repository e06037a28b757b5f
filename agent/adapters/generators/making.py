"""What each function of templates makes."""

from __future__ import annotations

import base64
import secrets
import string
import uuid
from typing import TYPE_CHECKING, Final

from agent.values import generated
from agent.values.errors import RandomValueError
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.engine.generators import Validity
    from agent.values.generated import Generation

_ALPHABETS: Final = {
    "randAlphaNum": string.ascii_letters + string.digits,
    "randAlpha": string.ascii_letters,
    "randNumeric": string.digits,
    "randAscii": "".join(map(chr, range(32, 127))),
}
_LONGEST: Final = 4096


class Generators:
    """Makes values out of the operating system's randomness."""

    def make(
        self, asked: Generation, args: Sequence[str | Secret], labels: Mapping[str, str], now: float
    ) -> Mapping[str, Secret]:
        """See `GeneratorPort`."""
        if asked.function in generated.TEXTS:
            return {"": Secret(_text(asked, args), labels[""])}
        # It loads X.509, which few charts ask for.
        from agent.adapters.generators import credential  # noqa: PLC0415

        if asked.function in generated.CERTIFICATES:
            return credential.certificate(asked, args, labels, now)
        if asked.function in generated.KEYS:
            return {"": credential.key(asked, args, labels[""])}
        raise unusable(asked)

    def validity(self, certificate: Secret, key: Secret | None) -> Validity | None:
        """See `GeneratorPort`."""
        from agent.adapters.generators import credential  # noqa: PLC0415  # as above

        return credential.validity(certificate, key)

    def issued(self, certificate: Secret, issuer: Secret) -> bool:
        """See `GeneratorPort`."""
        from agent.adapters.generators import credential  # noqa: PLC0415  # as above

        return credential.issued(certificate, issuer)


def _text(asked: Generation, args: Sequence[str | Secret]) -> str:
    if asked.function == "uuidv4":
        return str(uuid.uuid4())
    count = length(asked, args[0] if args else "", _LONGEST)
    if asked.function == "randBytes":
        return base64.b64encode(secrets.token_bytes(count)).decode()
    alphabet = _ALPHABETS[asked.function]
    return "".join(secrets.choice(alphabet) for _ in range(count))


def length(asked: Generation, given: str | Secret, most: int) -> int:
    """A number of 1 to `most`. Raises RandomValueError."""
    if not isinstance(given, str) or not given.isdecimal() or len(given) > 9 or not 1 <= int(given) <= most:
        raise unusable(asked)
    return int(given)


def unusable(asked: Generation) -> RandomValueError:
    """The arguments are none that a value is made of."""
    return RandomValueError(
        "no value can be made of what a template asks for",
        hint="check the arguments of the function, or set a value for it",
        function=asked.function,
        file=asked.file,
        line=asked.line,
    )
