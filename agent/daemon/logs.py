"""Structured logs: a JSON object a line on standard error. Messages are literals; what varies is in fields known to be safe."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET: Final = ("asyncio", "aiohttp", "git", "hvac", "kubernetes", "urllib3", "requests", "watchfiles")


class JsonFormatter(logging.Formatter):
    """Time, level, logger, message and the extra fields. A traceback is cut to the types and places: its texts may quote values."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update({name: value for name, value in vars(record).items() if name not in _STANDARD})
        if record.exc_info and record.exc_info[1] is not None:
            entry["exception"] = trace(record.exc_info[1])
        return json.dumps(entry, default=repr)


def trace(error: BaseException) -> list[str]:
    """The exception's type and the places it passed, without any text of its own."""
    places: list[str] = [type(error).__name__]
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        places.append(f"{code.co_qualname if hasattr(code, 'co_qualname') else code.co_name} line {step.tb_lineno}")
        step = step.tb_next
    return places


def configure(level: str) -> None:
    """Send everything to standard error as JSON, and keep client libraries from logging what they send and read."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("signet").setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
