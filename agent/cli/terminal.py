"""The one module that prints. Results go to stdout, everything about them to stderr.

Text that may come from outside has its control characters escaped here, so that no file name or author can move the cursor.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Literal

from agent.values.errors import WriteError
from agent.values.text import escape, steady

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from agent.values.errors import AgentError


def is_tty(stream: Literal["stdin", "stdout", "stderr"] = "stdout") -> bool:
    """Whether a person is at the other end."""
    return getattr(sys, stream).isatty()


def output_option(parser: argparse.ArgumentParser) -> None:
    """`-o json`, for programs: sets `args.output` to "table" or "json"."""
    parser.add_argument(
        "-o", "--output", choices=("table", "json"), default="table", help="a table for people, JSON for programs"
    )


def open_streams() -> None:
    """Of a process that was started without some of its three streams: nothing is read, and what is written goes nowhere.

    Else the next file that is opened would be taken for them, by us and by every program that we start.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _discard(number)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(number, mode, errors="surrogateescape", closefd=False))


def _discard(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null == number:
        os.set_inheritable(null, True)
    else:
        os.dup2(null, number)
        os.close(null)


def write_bytes(data: bytes) -> None:
    """A result as it is, and on a terminal without what would move its cursor or turn the direction of its text.

    Raises WriteError, and BrokenPipeError where whoever reads has read enough.
    """
    if is_tty():
        data = _steady(data)
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError:
        # What is left in the buffers must not fail again at exit.
        _discard(sys.stdout.fileno())
        raise WriteError("standard output cannot be written", hint="is there room where it goes?").in_case(
            "general"
        ) from None


def _steady(data: bytes) -> bytes:
    return steady(data.decode("utf-8", "surrogateescape")).encode("utf-8", "backslashreplace")


def write_text(text: str) -> None:
    """A result of several lines that this program made; a final newline is not added."""
    write_bytes(text.encode("utf-8", "surrogateescape"))


def write_json(value: object) -> None:
    """A result for programs, indented, with a final newline."""
    import json

    write_text(json.dumps(value, indent=2, ensure_ascii=True) + "\n")


def line(text: str) -> None:
    """One line of result, escaped."""
    write_text(escape(text) + "\n")


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as their widest cell; cells are escaped. No rows: nothing is printed."""
    cells = [[escape(str(cell)) for cell in row] for row in rows]
    if not cells:
        return
    widths = [max(len(row[column]) for row in [headers, *cells]) for column in range(len(headers))]
    for row in [headers, *cells]:
        write_text("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")


def cut(text: str, longest: int) -> str:
    """`text`, at most `longest` characters of it."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def note(message: str) -> None:
    """Something worth knowing that is no result."""
    status("")
    _tell(escape(message) + "\n")


def warn(message: str) -> None:
    note(f"agent: warning: {message}")


def progress(message: str) -> None:
    """What is being done, for a person who waits."""
    if is_tty("stderr"):
        note(message)


def status(message: str) -> None:
    """What is being done, on one line that the next one takes the place of; empty text clears it. For a person who waits."""
    if is_tty("stderr"):
        # Only here, since most commands are done before anybody waits.
        import shutil

        columns = shutil.get_terminal_size().columns
        _tell("\r\x1b[K" + cut(escape(message), columns - 1))


def _tell(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        # There is nobody to tell; the exit code still does.
        _discard(sys.stderr.fileno())


def error(failure: AgentError) -> None:
    """An error on one line, and what to do about it on the next."""
    note(f"agent: {failure}")
    if failure.hint:
        note(f"hint: {failure.hint}")


def usage_error(program: str, message: str) -> None:
    note(f"{program}: {message}")
    note(f"hint: {program} --help")


def unforeseen(kind: str, places: Sequence[str]) -> None:
    """A defect: where it happened, without the text of the exception."""
    note(f"agent: internal error: {kind}")
    for place in places:
        note(f"  at {place}")
    note("hint: please report this; it holds no text of your files")


def flush() -> None:
    write_bytes(b"")
