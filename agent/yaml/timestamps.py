"""Points in time as go-yaml v3 recognises them, and Go's time package reads and prints them."""

from __future__ import annotations

import re

from agent.yaml.nodes import Timestamp

_YAML = (
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:[Tt]([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})"
    r"| +([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]+))?)?"
)
_RFC3339 = (
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse(text: str) -> Timestamp | None:
    """The time that a plain scalar is to go-yaml v3 (resolve.go, allowedTimestampFormats); None for other text."""
    # Most text that begins with a digit is none, and few files have another than those of sops: the pattern takes its time to compile.
    if text[4:5] != "-":
        return None
    if usual := _to_the_second(text):
        return usual
    match = re.fullmatch(_YAML, text)
    if match is None:
        return None
    zoned, bare = match.group(4, 5, 6, 7), match.group(9, 10, 11, 12)
    clock = zoned if zoned[0] else bare if bare[0] else ("0", "0", "0", None)
    return _timestamp(match.group(1, 2, 3), clock, match.group(8) or "Z")


def parse_rfc3339(text: str) -> Timestamp | None:
    """What Go's time.Parse(time.RFC3339, text) takes: the plaintext of an encrypted time. None for other text."""
    if usual := _to_the_second(text):
        return usual
    match = re.fullmatch(_RFC3339, text)
    return None if match is None else _timestamp(match.group(1, 2, 3), match.group(4, 5, 6, 7), match.group(8))


def _to_the_second(text: str) -> Timestamp | None:
    """As sops writes a file's time: `2026-11-30T06:40:00Z`. None for other text."""
    date, clock = (text[:4], text[5:7], text[8:10]), (text[11:13], text[14:16], text[17:19])
    if len(text) != 20 or text[4::3] != "--T::Z" or not text.isascii() or not "".join(date + clock).isdecimal():
        return None
    return _timestamp(date, (*clock, None), "Z")


def _timestamp(date: tuple[str, ...], clock: tuple[str | None, ...], zone: str) -> Timestamp | None:
    year, month, day = (int(part) for part in date)
    hour, minute, second = (int(part or 0) for part in clock[:3])
    if not (1 <= month <= 12 and 1 <= day <= _DAYS[month - 1] and hour < 24 and minute < 60 and second < 60):
        return None
    if month == 2 and day == 29 and (year % 4 or (year % 100 == 0 and year % 400)):
        return None
    offset = ""
    if zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > 24 or minutes > 60:
            return None
        total = hours * 60 + minutes
        offset = f"{zone[0]}{total // 60:02d}:{total % 60:02d}" if total else ""
    fraction = (clock[3] or "")[:9].rstrip("0")
    stamp = f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}"
    return Timestamp(f"{stamp}{'.' + fraction if fraction else ''}{offset or 'Z'}")
