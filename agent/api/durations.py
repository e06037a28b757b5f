"""Durations as Kubernetes writes them (`90s`, `5m`, `1h30m`) and times as RFC 3339."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from agent.api.model import invalid

PATTERN: Final = r"^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$"
_FORM: Final = re.compile(r"(?:([0-9]{1,5})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,6})s)?", re.ASCII)


def parse(text: str) -> int:
    """Seconds. Raises ValueError for anything but hours, minutes and seconds in this order."""
    match = _FORM.fullmatch(text)
    if match is None or not text:
        raise ValueError("not a duration")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def render(seconds: int) -> str:
    """The shortest text that `parse` reads as `seconds`."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if count]
    return "".join(parts) or "0s"


def timestamp(unix_seconds: float) -> str:
    """RFC 3339 in UTC, to the second: the form of `metav1.Time`."""
    return datetime.fromtimestamp(int(unix_seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(value: object, info: ValidationInfo) -> object:
    """Text where a user wrote it; our own code gives seconds."""
    if isinstance(value, str):
        try:
            return parse(value)
        except ValueError:
            raise invalid("must be a duration such as 90s, 5m or 1h30m") from None
    if info.mode == "python" and isinstance(value, int) and not isinstance(value, bool):
        return value
    raise invalid("must be a duration such as 90s, 5m or 1h30m")


Duration = Annotated[
    int,
    BeforeValidator(_read),
    PlainSerializer(render, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 2, "maxLength": 16, "pattern": PATTERN}),
]
"""Seconds inside, text outside."""
