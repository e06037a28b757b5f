"""Values that templates make up: passwords, keys and certificates. A renderer makes none, it says what is asked for."""

from __future__ import annotations

from typing import Final

from agent.values.dataclass import dataclass

JOINED: Final = "joined"
"""Several values in one text, which is a value then: no function of templates, and known to the agent alone."""
TEXTS: Final = frozenset({"randAlphaNum", "randAlpha", "randNumeric", "randAscii", "randBytes", "uuidv4", JOINED})
KEYS: Final = frozenset({"genPrivateKey"})
CERTIFICATES: Final = frozenset(
    f"{name}{suffix}" for name in ("genCA", "genSelfSignedCert", "genSignedCert") for suffix in ("", "WithKey")
)


@dataclass(frozen=True, slots=True)
class Generation:
    """What a template asks for: a function with its arguments, as text that may hold placeholders.

    `part` is `cert` or `key` of a certificate, both of one `call`. `file` and `line` are of the template. `then` are functions from text to text
    that make the value of what the function gives: each with its parameters.
    """

    function: str
    args: tuple[str, ...]
    part: str
    call: str
    file: str
    line: int
    then: tuple[tuple[str, ...], ...] = ()

    @property
    def is_public(self) -> bool:
        """Whether it is a certificate without its key, which is no secret."""
        return self.part == "cert"

    @property
    def material(self) -> tuple[str, ...]:
        """The certificates and keys among the arguments of a certificate: those of its CA, and its own key."""
        return self.args[2 if self.function.startswith("genCA") else 4 :] if self.function in CERTIFICATES else ()

    @property
    def issuer(self) -> str:
        """The certificate of the CA that signs it; empty for one that signs itself."""
        return self.args[4] if self.function.startswith("genSignedCert") and len(self.args) > 4 else ""

    @property
    def own_key(self) -> str:
        """The key that a certificate is given; empty where it gets one."""
        return self.args[-1] if self.function in CERTIFICATES and self.function.endswith("WithKey") else ""
