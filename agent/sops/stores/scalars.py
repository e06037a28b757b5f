"""What stores have in common for scalars: how they are given out alone, and read back where they stand in the clear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.values.errors import EmitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.yaml.nodes import Mapping, Scalar, Value


def only_text(value: Value, *, indent: int | None = None) -> bytes:
    """A `Store.emit_value` of a type without any other parts. Raises EmitError."""
    del indent
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    raise EmitError("only text can be written to this type of file", hint="name another --output-type")


def printed(value: Scalar) -> Scalar:
    """A `Store.printed` where a float that is whole is printed as an integer except -0.0."""
    if isinstance(value, float) and value.is_integer() and repr(value) != "-0.0":
        return int(value)
    return value


def every(documents: Sequence[Mapping]) -> bool:
    """A `Store.holds` of a type that has a form for all."""
    del documents
    return True
