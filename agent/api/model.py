"""How our models behave, and how a tree becomes one.

A tree is validated as JSON in strict mode: a number is not a string, `yes` is not a bool, and an unknown field is an error. What is
wrong is said by the field's path and a cause from our own list; the value that was given enters no error.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, LiteralString, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from agent.values.secret import Sealed, Secret
from agent.values.tree import Tree, format_path, walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails


class Model(BaseModel):
    """Frozen, strict, camelCase outside and snake_case inside."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        defer_build=True,
    )


ModelT = TypeVar("ModelT", bound=Model)


class Problem(Exception):  # noqa: N818  # a step on the way to an AgentError, never shown itself
    """What is wrong with a tree: a literal cause, a hint, the first field's path and those of the rest."""

    def __init__(self, cause: LiteralString, hint: LiteralString, field: str, also: tuple[str, ...] = ()) -> None:
        super().__init__(cause)
        self.cause: LiteralString = cause
        self.hint: LiteralString = hint
        self.field: str = field
        self.also: tuple[str, ...] = also


def invalid(cause: LiteralString) -> PydanticCustomError:
    """What a validator raises: `cause` is shown to the user as it stands."""
    return PydanticCustomError(_OURS, cause)


def validate(model: type[ModelT], tree: Tree) -> ModelT:
    """The model that a clear tree describes. Raises Problem."""
    if any(isinstance(leaf, Secret | Sealed) for _, leaf in walk(tree)):
        raise Problem(
            "a secret is in a field that must be clear text", "refer to the secret instead of writing its value", ""
        )
    try:
        return model.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        problem = _problem(error.errors(include_url=False, include_input=False))
    raise problem


_OURS: Final = "signet"

_CAUSES: Final[Mapping[str, tuple[LiteralString, LiteralString]]] = {
    "missing": ("a required field is missing", ""),
    "extra_forbidden": ("unknown field", "see docs/reference for the fields; names are case-sensitive"),
    "string_type": ("must be a string", "quote it"),
    "int_type": ("must be a whole number", "write it without quotes"),
    "int_from_float": ("must be a whole number", ""),
    "float_type": ("must be a number", "write it without quotes"),
    "bool_type": ("must be true or false", "write it without quotes"),
    "tuple_type": ("must be a list", ""),
    "dict_type": ("must be a map", ""),
    "model_type": ("must be a map", ""),
    "model_attributes_type": ("must be a map", ""),
    "literal_error": ("not one of the allowed values", "see docs/reference for the allowed values"),
    "string_pattern_mismatch": ("does not match the format of this field", "see docs/reference for the format"),
    "string_too_short": ("must not be empty", ""),
    "string_too_long": ("too long", ""),
    "too_short": ("too few items", ""),
    "too_long": ("too many items", ""),
    "greater_than_equal": ("below the minimum of this field", "see docs/reference for the range"),
    "greater_than": ("below the minimum of this field", "see docs/reference for the range"),
    "less_than_equal": ("above the maximum of this field", "see docs/reference for the range"),
}


def _problem(errors: list[ErrorDetails]) -> Problem:
    first, *rest = errors
    cause, hint = _CAUSES.get(first["type"], ("not valid", "see docs/reference for this field"))
    if first["type"] == _OURS:
        cause, hint = _own_cause(first), ""
    field = format_path(first["loc"])
    also = dict.fromkeys(format_path(error["loc"]) for error in rest)
    return Problem(cause, hint, field, tuple(other for other in also if not field.startswith(other))[:8])


def _own_cause(error: ErrorDetails) -> LiteralString:
    return error["msg"]  # pyright: ignore[reportReturnType]  # `invalid` takes literals only, and formats nothing in
