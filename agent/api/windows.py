"""Sync windows: times at which commits may be applied, or may not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from agent.api.durations import Duration
from agent.api.fields import NamePattern
from agent.api.model import Model, invalid

MOST_WINDOWS: Final = 8
"""Of one Application. Of the operator's file there may be more."""
_FIELDS: Final = 5


def _cron(text: str) -> str:
    from cronsim import CronSim, CronSimError  # noqa: PLC0415  # loaded with the first window

    if len(text.split()) == _FIELDS:
        try:
            CronSim(text, datetime(2000, 1, 1, tzinfo=UTC))
        except CronSimError:
            pass
        else:
            return text
    raise invalid("must be a cron expression of five fields that comes true, such as 0 22 * * 1-5")


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (LookupError, ValueError, OSError):
        raise invalid("must be a time zone of the IANA database, such as Europe/Berlin") from None
    return text


class SyncWindow(Model):
    """A time that comes again and again."""

    kind: Literal["allow", "deny"]
    """What it is for: commits run within an `allow` window only, if there is any, and never within a `deny` window."""
    schedule: Annotated[str, Field(min_length=9, max_length=128), AfterValidator(_cron)]
    """When it begins, as cron: minute, hour, day of the month, month, day of the week. `0 22 * * 1-5` is 22:00 from Monday to Friday."""
    duration: Annotated[Duration, Field(ge=60, le=31 * 86_400)]
    """How long it lasts from each beginning, at least `1m`, at most 31 days (`744h`)."""
    time_zone: Annotated[
        str,
        Field(max_length=64, pattern=r"^(UTC|[A-Za-z_]+(/[A-Za-z0-9_+-]+){1,2})$"),
        AfterValidator(_zone),
    ] = "UTC"
    """Where the schedule's hours are read, such as `Europe/Berlin`: summer time comes and goes with it."""

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class OperatorWindow(SyncWindow):
    """A sync window of the operator's, for Applications that cannot take it back."""

    application_namespaces: Annotated[tuple[NamePattern, ...], Field(min_length=1)] = ("*",)
    """Namespaces of the Applications that it is for; `*` stands for any run of characters."""
    application_name: NamePattern = "*"
    """Which of their Applications."""
