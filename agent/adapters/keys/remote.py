"""What services that hold keys have in common: they may never answer, and their clients log what should stay private."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, TypeVar

from agent.values.errors import DataKeyError

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE_SECONDS = 30.0
"""For one data key, with everything that it takes: credentials, a role to assume, an attempt that is repeated."""

_Answer = TypeVar("_Answer")


def within_deadline(call: Callable[[], _Answer], *, seconds: float | None = None) -> _Answer:
    """What `call` gives or raises. DataKeyError after `seconds`, for an answer that drips in outlasts any timeout of a socket.

    The call itself goes on in a thread that does not keep the process.
    """
    outcomes: queue.Queue[_Answer | BaseException] = queue.Queue()

    def run() -> None:
        try:
            outcomes.put(call())
        except BaseException as error:  # noqa: BLE001  # raised below
            outcomes.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        outcome = outcomes.get(timeout=DEADLINE_SECONDS if seconds is None else seconds)
    except queue.Empty:
        raise DataKeyError("the server does not answer in time") from None
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def silence(*names: str) -> None:
    """Keep these loggers from every handler, even the one of last resort: they repeat answers and parts of credentials."""
    for name in names:
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
