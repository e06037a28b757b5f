"""Secret: an opaque scalar that knows where it came from and shows nothing else.

A Secret travels through the house as a leaf of a tree. Its text forms (`repr`, `str`, `format`) give the label; everything that
would leak the value or its shape (`hash`, `len`, `bool`, iteration, pickling, JSON) is refused. The value is read through
`agent.values.reveal` alone. What this does not promise: Python cannot wipe memory, and anyone who can read this process's memory
may read its secrets.
"""

from __future__ import annotations

from typing import Final, NoReturn, SupportsIndex, TypeAlias, final

from agent.values.dataclass import dataclass

Plain: TypeAlias = str | bytes | int | float | bool


def encode(value: Plain) -> bytes:
    """Type tag and bytes of a scalar: equal exactly for values that are the same scalar (`1`, `1.0`, `"1"` and `True` differ)."""
    if isinstance(value, bool):
        return b"b1" if value else b"b0"
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        return b"y" + value
    if isinstance(value, int):
        return b"i%d" % value
    return b"f" + repr(value).encode()


@final
class Secret:
    """An opaque scalar with its provenance labels, such as `sops:apps/shop/db.yaml#stringData.password`.

    `==` compares type and value in constant time, against another Secret only. Labels are shown wherever the secret would be;
    they must not hold anything confidential.
    """

    __slots__ = ("_plaintext", "labels")

    _plaintext: Plain
    labels: tuple[str, ...]

    def __init__(self, plaintext: Plain, *labels: str) -> None:
        if not isinstance(plaintext, str | bytes | int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("a Secret holds str, bytes, int, float or bool")
        if not labels:
            raise TypeError("a Secret needs a label that says where it came from")
        object.__setattr__(self, "_plaintext", plaintext)
        object.__setattr__(self, "labels", labels)

    @property
    def label(self) -> str:
        """All labels as one text."""
        return " + ".join(self.labels)

    def __repr__(self) -> str:
        return f"<secret {self.label}>"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # Only here, since it loads OpenSSL a second time, and few compare secrets.
        import hmac

        return hmac.compare_digest(encode(self._plaintext), encode(other._plaintext))

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Secret is immutable")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")

    def __len__(self) -> NoReturn:
        raise TypeError("a Secret does not reveal its length")

    def __bool__(self) -> NoReturn:
        raise TypeError("a Secret does not reveal whether it is empty")

    def __iter__(self) -> NoReturn:
        raise TypeError("a Secret cannot be iterated")

    def __contains__(self, item: object) -> NoReturn:
        raise TypeError("a Secret cannot be searched")

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("Secret is final")


PUBLIC: Final = "public"


@final
@dataclass(frozen=True, slots=True)
class Sealed:
    """A ciphertext that has not been opened: a leaf of the sealed merge.

    `id` names this ciphertext at this place (hex; equal ids are the same ciphertext of the same file and path), `label` is what the
    opened Secret will be labelled with, `type` the SOPS type of the value (`str`, `int`, `float`, `bool`, `bytes`, `time`), or PUBLIC for what
    is not known yet, and no secret: it becomes text.
    """

    id: str
    label: str
    type: str

    def __repr__(self) -> str:
        return f"<sealed {self.label}>"
